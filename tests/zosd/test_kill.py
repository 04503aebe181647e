"""A daemon that is killed at any moment comes to the same end as one that was not.

Each run is a process of its own (forked, so that it starts fast).  `tests/faults` kills at named points instead.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import random
import time
from pathlib import Path

from gridtypes import ContractId, Deployment
from tests.zosd.parts import TWIN, Daemon, daemon, deployment, full, machine, network, public_ip, zmount
from zosd.accept.refusal import Refusal
from zosd.journal.records import Key
from zosd.points import Hook, nothing

FORK = multiprocessing.get_context("fork")
KEEPS, GOES = ContractId(1), ContractId(2)


def first(contract: ContractId, net: str) -> Deployment:
    return full(contract, net=net)


def second() -> Deployment:
    """Grows the disk, removes the address, adds a disk."""
    return deployment(
        machine("vm1", "netA", {"disk1": "/data"}, public="ip1"),
        zmount("disk1", 2 << 30, version=1),
        network("netA"),
        public_ip("ip1"),
        zmount("disk2", version=1),
        contract=KEEPS,
        version=1,
    )


async def scenario(node: Daemon) -> None:
    """What a client and the chain do; told again from the beginning after each start, as retries are."""
    ledger = node.journal.ledger
    await _deploy(node, first(KEEPS, "netA"))
    if not (node_note := ledger.note("gone")):
        await _deploy(node, first(GOES, "netB"))
    await node.settled()
    new = second()
    node.chain.sign_up(new)
    await node.update(new)
    if not node_note:
        await node.orders.leave(Key(TWIN, GOES), "contract canceled event received")
        await node.journal.put_note("gone", b"1")
    await node.until(lambda: len(ledger) == 1)
    await node.settled()


async def _deploy(node: Daemon, wanted: Deployment) -> None:
    node.chain.sign_up(wanted)
    try:
        await node.deploy(wanted)
    except Refusal as refusal:
        if str(refusal) != "exists":  # it is at version 1 already
            raise


def child(folder: Path, hook: Hook) -> None:
    async def run() -> None:
        async with daemon(folder, hook=hook) as node:
            await scenario(node)

    asyncio.run(run())


def run(folder: Path, hook: Hook = nothing, kill_after: float | None = None) -> int:
    """Run a child to its end and return its exit code (negative: the signal)."""
    process = FORK.Process(target=child, args=(folder, hook), daemon=True)
    process.start()
    if kill_after is not None:
        time.sleep(kill_after)
        if process.is_alive():
            process.kill()
    process.join(60)
    assert process.exitcode is not None, "the child hangs"
    return process.exitcode


def check(folder: Path) -> None:
    """Journal and shelf hold exactly what should be there."""

    async def look() -> None:
        async with daemon(folder, start=False) as node:
            (record,) = node.journal.ledger.all()
            assert record.key.contract == KEEPS
            assert record.header.version == 1
            assert record.job is None
            assert node.states(record.key) == dict.fromkeys(["vm1", "disk1", "netA", "ip1", "disk2"], "ok")

    asyncio.run(look())
    left = sorted(file.stem for file in (folder / "run" / "null").rglob("*.json"))
    assert left == [f"26-1-{name}" for name in ("disk1", "disk2", "ip1", "netA", "vm1")]
    disk = json.loads((folder / "run" / "null" / "zmount" / "26-1-disk1.json").read_text())
    assert disk["version"] == 1
    # Nothing that was once complete was made from nothing again.
    assert disk["made"] == 1


def test_killed_twice_in_a_row_at_random_moments(tmp_path: Path) -> None:
    chance = random.Random(7)
    for number in range(15):
        folder = tmp_path / str(number)
        run(folder, kill_after=chance.uniform(0.01, 0.25))
        run(folder, kill_after=chance.uniform(0.01, 0.25))
        assert run(folder) == 0
        check(folder)
