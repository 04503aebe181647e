"""The chain is killed at every single statement that it sends to its database; what is there afterwards is whole."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.tfchain.devchain.driver import Driver, person
from tfchain.devchain.execution import next_root
from tfchain.devchain.genesis import Genesis
from tfchain.devchain.state import Snapshot

ALICE, CHARLIE = person("//Alice"), person("//Charlie")
PAYMENTS = 3
UNIT = 1000


def live(folder: Path, kill_at: int) -> tuple[bool, int]:
    """A life in a process of its own, killed at its `kill_at`-th statement.

    Whether it was killed, and how many payments it had reported as included.
    """
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(reader)
        try:
            driver = Driver(folder, Genesis())
            left = kill_at

            def count(_: str) -> None:
                nonlocal left
                left -= 1
                if left == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

            driver.store._writer.set_trace_callback(count)
            for _ in range(PAYMENTS):
                assert driver.call(ALICE, "Balances.transfer", dest=CHARLIE.address, value=UNIT).ok
                os.write(writer, b".")
            driver.chain.upgrade(150)
            driver.chain.set_grace_blocks(7)
            driver.store.revert(driver.chain.head.header.number - 1)
            driver.store.prune(2)
        finally:
            os._exit(0)
    os.close(writer)
    _, status = os.waitpid(pid, 0)
    with os.fdopen(reader, "rb") as told:
        return os.WIFSIGNALED(status), len(told.read())


def check(folder: Path, reported: int) -> None:
    """The database is one chain, its state belongs to its head, and nothing that was reported is gone."""
    driver = Driver(folder, Genesis())
    try:
        store, head = driver.store, driver.chain.head
        parent = None
        for number in range(head.header.number + 1):
            block = store.block(number)
            assert block is not None
            assert block.hash == block.header.hash
            assert parent is None or block.header.parent == parent
            parent = block.hash
        values = store.newest_values()
        assert next_root(bytes(32), Snapshot({}), dict(values)) == head.header.state_root
        paid = driver.balance(CHARLIE) - (1 << 60)
        assert paid % UNIT == 0
        assert reported * UNIT <= paid <= PAYMENTS * UNIT
        assert driver.call(ALICE, "Balances.transfer", dest=CHARLIE.address, value=UNIT).ok
    finally:
        driver.close()


def test_a_kill_at_any_statement_leaves_a_whole_chain(tmp_path: Path) -> None:
    for kill_at in range(1, 500):
        folder = tmp_path / str(kill_at)
        was_killed, reported = live(folder, kill_at)
        check(folder, reported)
        if not was_killed:
            assert kill_at > 30, "hardly anything was written"
            return
    pytest.fail("the life has more statements than this test looks at")
