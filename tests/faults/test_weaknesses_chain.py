"""Weaknesses 12 to 16 of the existing engine, toward the chain; the others stand in `test_weaknesses.py`."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from pathlib import Path

from gridtypes import (
    WorkloadId,
)
from tests.faults.test_weaknesses import running
from tests.zosd.memory_chain import FastClock, MemoryChain, beside, follower
from tests.zosd.parts import (
    NODE,
    daemon,
)
from tests.zosd.test_traffic import CountingChain
from tests.zosd.test_traffic import Node as TrafficNode
from tfchain import ChainUnavailable, DispatchError, Identity
from tfchain.models import FinalisedBlock, NodePower
from zosd.chainlife.power import Power
from zosd.chainlife.reports import Uptime
from zosd.journal.records import Key


async def test_weakness_12_an_event_is_done_with_only_when_its_work_is(tmp_path: Path) -> None:
    chain = MemoryChain()
    async with daemon(tmp_path) as node:
        key = await running(node)
        watcher = follower(node, chain)
        saved: list[int | None] = []
        real = node.orders.leave

        async def leave(key: Key, reason: str) -> None:
            saved.append(watcher._cursor.number)
            await real(key, reason)

        node.orders.leave = leave  # type: ignore[method-assign]
        async with beside(lambda: watcher.follow(NODE)):
            chain.happen("NodeContractCanceled", 1000)
            await node.until(lambda: node.journal.ledger.get(key) is None)
            assert saved == [None]
            # A block whose events cannot be read has everything compared.
            assert not watcher._compare_now.is_set()
            chain.blocks.put_nowait(FinalisedBlock(chain.number + 1, b"", (), is_complete=False))
            await node.until(watcher._compare_now.is_set)


async def test_weakness_13_an_uptime_report_that_the_chain_refuses_is_sent_again(tmp_path: Path) -> None:
    class Refusing(MemoryChain):
        refusals = 2

        async def report_uptime(self, key: Identity, uptime: int, hint: int) -> None:
            if self.refusals:
                self.refusals -= 1
                raise DispatchError("TfgridModule", "InvalidTimestampHint")
            await super().report_uptime(key, uptime, hint)

    chain, clock = Refusing(), FastClock()
    reports = Uptime(chain, Identity.generate(), clock, 2400, 30)  # type: ignore[arg-type]
    async with beside(reports.run):
        async with asyncio.timeout(60):
            while not chain.calls:
                await asyncio.sleep(0.005)
    assert clock.sleeps[:2] == [30, 30]


async def test_weakness_14_traffic_counts_once_and_a_bad_report_stops_no_other(tmp_path: Path) -> None:
    async with daemon(tmp_path, start=False) as made:
        node = TrafficNode(made.journal, CountingChain(foreign={2}, ends=["unknown"]))
        good, bad = WorkloadId.parse("26-1-ip"), WorkloadId.parse("26-2-ip")
        node.counters = {good: 0, bad: 0}
        await node.traffic.look()
        for hour in range(1, 5):
            node.counters = {good: 100 * hour, bad: 10 * hour}
            with contextlib.suppress(ChainUnavailable):  # one that may still come is waited for
                await node.hour()
        await node.hour()
        assert node.chain.counted == {1: 400}


async def test_weakness_15_the_node_object_is_compared_by_name_again_and_again(tmp_path: Path) -> None:
    from tests.zosd.test_chainlife import TestRegistration

    chain = MemoryChain(terms=True, money=10**7)
    async with daemon(tmp_path) as node:
        registration, registered = TestRegistration().registration(node, chain)
        registration._refresh_period = 1e-9  # every look is a refresh
        async with beside(registration.run):
            await registered.done.wait()
            assert chain.made is not None
            chain.made = replace(chain.made, serial_number="another's", secure_boot=True)
            async with asyncio.timeout(60):
                while not any(name == "update" for name, _ in chain.calls):
                    await asyncio.sleep(0.005)
        (fields,) = [fields for name, fields in chain.calls if name == "update"][:1]
        assert (fields["serial_number"], fields["secure_boot"]) == (None, False)


async def test_weakness_16_a_node_with_many_nics_says_that_it_is_up(tmp_path: Path) -> None:
    class Chain:
        said: list[bool] = []  # noqa: RUF012

        async def node_power(self, node: int) -> NodePower:
            return NodePower(is_up=False, wanted_up=False)

        async def set_node_power_state(self, key: Identity, is_up: bool) -> None:
            self.said.append(is_up)

    async def report() -> None:
        """Never asked for."""

    # No command that switches off, whatever NICs there are: always up, and nothing else suffers.
    keeper = Power(Chain(), Identity.generate(), FastClock(), (), 1, report)  # type: ignore[arg-type]
    assert await keeper.settle(NODE) is False
    assert Chain.said == [True]
