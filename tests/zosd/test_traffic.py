"""Public traffic is told to the chain, and counted once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridtypes import ContractId, WorkloadId
from tests.zosd.parts import daemon
from tfchain import ChainUnavailable, DispatchError, Identity, OutcomeUnknown
from tfchain.models import Head, NruConsumption
from zosd.chainlife.notes import TRAFFIC
from zosd.chainlife.traffic import LONGEST_ERA, Books, Traffic, sampled, taken_out
from zosd.clock import SystemClock
from zosd.journal.journal import Journal

A, B = WorkloadId.parse("26-1-ip"), WorkloadId.parse("26-2-ip")


class SetClock(SystemClock):
    """Shows what it is set to."""

    now = 1_800_000_000.0

    def time(self) -> float:
        return self.now


@dataclass
class CountingChain:
    """Counts as the chain does: a report that is not older than the last one counts, also when told twice."""

    counted: dict[ContractId, int] = field(default_factory=dict)
    stamps: dict[ContractId, int] = field(default_factory=dict)
    foreign: set[int] = field(default_factory=set)
    number: int = 1000
    ends: list[str] = field(default_factory=list)
    """What happens to the next calls: `away` before, `unknown` after it counted, `lost` without."""
    later: list[NruConsumption] = field(default_factory=list)
    """Sent, its end unknown, and still on its way into a block."""

    async def head(self) -> Head:
        return Head(self.number, b"")

    async def last_traffic_report(self, id: ContractId) -> int:
        return self.stamps.get(id, 0)

    async def report_network_use(self, key: Identity, reports: Sequence[NruConsumption]) -> None:
        end = self.ends.pop(0) if self.ends else "good"
        if end == "away":
            raise ChainUnavailable("connection refused")
        if any(one.contract_id in self.foreign for one in reports):
            raise DispatchError("SmartContractModule", "NodeNotAuthorizedToComputeReport")
        if end == "late":
            self.later += reports
        elif end != "lost":
            self.include(reports)
        if end != "good":
            raise OutcomeUnknown("connection closed", b"", self.number + 50)

    def include(self, reports: Sequence[NruConsumption]) -> None:
        for one in reports:
            if one.timestamp >= self.stamps.get(one.contract_id, 0):
                self.counted[one.contract_id] = self.counted.get(one.contract_id, 0) + one.nru
                self.stamps[one.contract_id] = one.timestamp


class Node:
    """A node whose counters and clock the test turns."""

    def __init__(self, journal: Journal, chain: CountingChain) -> None:
        self.journal, self.chain, self.clock = journal, chain, SetClock()
        self.counters: dict[WorkloadId, int] = {}
        self.start()

    def start(self) -> None:
        async def counters() -> dict[WorkloadId, int]:
            return dict(self.counters)

        key = Identity.generate()
        self.traffic = Traffic(self.chain, key, self.journal, self.clock, counters, 3600, 30)  # type: ignore[arg-type]

    async def hour(self) -> None:
        self.clock.now += 3600
        self.chain.number += 600
        await self.traffic.look()
        await self.traffic.report()


async def test_what_is_used_is_told_by_the_hour(tmp_path: Path) -> None:
    async with daemon(tmp_path, start=False) as made:
        node = Node(made.journal, CountingChain())
        node.counters = {A: 1000}
        await node.traffic.look()  # the first look gives no increase
        node.counters = {A: 1500, B: 7}
        await node.hour()
        assert node.chain.counted == {1: 500}
        node.counters = {A: 200, B: 10}  # A's interface was made anew
        await node.hour()
        assert node.chain.counted == {1: 700, 2: 3}
        await node.hour()
        assert node.chain.counted == {1: 700, 2: 3}
        node.counters = {}
        await node.hour()
        assert Books.decoded(made.journal.ledger.note(TRAFFIC)).last == {}


@pytest.mark.parametrize("end", ["away", "unknown", "lost"])
async def test_a_report_whose_end_is_not_known_counts_once(tmp_path: Path, end: str) -> None:
    async with daemon(tmp_path, start=False) as made:
        node = Node(made.journal, CountingChain(ends=[end]))
        node.counters = {A: 0, B: 0}
        await node.traffic.look()
        node.counters = {A: 100, B: 50}
        with pytest.raises(ChainUnavailable):
            await node.hour()
        for _ in range(3):
            await node.hour()
        assert node.chain.counted == {1: 100, 2: 50}


async def test_one_that_may_still_come_is_waited_for(tmp_path: Path) -> None:
    async with daemon(tmp_path, start=False) as made:
        node = Node(made.journal, CountingChain(ends=["late"]))
        node.counters = {A: 0}
        await node.traffic.look()
        node.counters = {A: 100}
        with pytest.raises(OutcomeUnknown):
            await node.hour()
        with pytest.raises(ChainUnavailable, match="may still be included up to block"):
            await node.traffic.report()
        node.chain.include(node.chain.later)
        await node.hour()
        assert node.chain.counted == {1: 100}


async def test_a_daemon_that_died_while_it_reported(tmp_path: Path) -> None:
    async with daemon(tmp_path, start=False) as made:
        chain = CountingChain(ends=["unknown"])
        node = Node(made.journal, chain)
        node.counters = {A: 0}
        await node.traffic.look()
        node.counters = {A: 100}
        with pytest.raises(OutcomeUnknown):
            await node.hour()
        node.start()
        with pytest.raises(ChainUnavailable, match="may still be included"):
            await node.traffic.report()
        chain.number += LONGEST_ERA
        await node.traffic.report()
        assert chain.counted == {1: 100}


async def test_a_contract_of_another_node_does_not_stop_the_others(tmp_path: Path) -> None:
    async with daemon(tmp_path, start=False) as made:
        node = Node(made.journal, CountingChain(foreign={1}))
        node.counters = {A: 0, B: 0}
        await node.traffic.look()
        node.counters = {A: 100, B: 50}
        await node.hour()
        assert node.chain.counted == {2: 50}
        assert Books.decoded(made.journal.ledger.note(TRAFFIC)).sending == ()


@given(st.lists(st.tuples(st.integers(0, 1000), st.booleans()), max_size=30), st.integers(1, 5))
def test_nothing_is_counted_twice_and_nothing_lost(steps: list[tuple[int, bool]], every: int) -> None:
    """Whatever the counter does, the reports add up to what it rose; a reset counts from zero."""
    books, counter, expected, told = sampled(Books(), {A: 0}, 1.0), 0, 0, 0
    for number, (more, reset) in enumerate(steps):
        if reset and more < counter:
            counter, expected = more, expected + more
        else:
            counter, expected = counter + more, expected + more
        books = sampled(books, {A: counter}, float(number))
        if number % every == 0:
            books = taken_out(books, float(number))
            told += sum(entry[3] for entry in books.sending)
    told += sum(entry[3] for entry in taken_out(books, 99.0).sending)
    assert told == expected
    assert Books.decoded(books.encoded()) == books
