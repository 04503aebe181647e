"""What fits and what does not (engine §7), and when to try again."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridtypes import Capacity
from tests.zosd.parts import machine, network, zmount
from zosd.capacity import (
    GIB,
    MIB,
    Ask,
    Booked,
    MachineFacts,
    Media,
    PoolSpace,
    ask,
    reserved_memory,
    shortage,
    system,
)
from zosd.engine.backoff import Backoff

POOL = PoolSpace("p", Media.SSD, 100 * GIB, 0, 100 * GIB)
MACHINE = MachineFacts(Capacity(cru=4, mru=16 * GIB, sru=100 * GIB), None, (POOL,), overhead=146 * MIB)


@pytest.mark.parametrize(
    ("total", "reserved"), [(4 * GIB, 2 * GIB), (20 * GIB, 2 * GIB), (64 * GIB, 64 * GIB // 10)]
)
def test_the_reserve_is_a_tenth_but_at_least_2_gib(total: int, reserved: int) -> None:
    assert reserved_memory(total) == reserved
    assert system(replace(MACHINE, total=Capacity(mru=total))).mru == reserved


def test_what_the_file_systems_need_is_the_system_s() -> None:
    pools = (replace(POOL, used=20 * GIB, free=70 * GIB), replace(POOL, media=Media.HDD, free=0))
    assert system(replace(MACHINE, pools=pools)).sru == 10 * GIB


def test_what_a_machine_takes() -> None:
    asked = ask(machine(memory=GIB, cpu=2))
    assert (asked.cpu, asked.memory, asked.machines) == (2, GIB, 1)
    # The smallest root, with a tenth for the metadata of its files, in whole MiB.
    assert asked.ssd == 550 * MIB
    assert ask(network()).ssd == 0
    assert ask(zmount("a", 3 * GIB), zmount("a", GIB)).ssd == 2 * GIB


def test_overhead_is_booked_for_each_machine() -> None:
    # 14 GiB are usable; a machine of 14 GiB fits only without its emulator.
    text = shortage([Ask("vm", memory=14 * GIB, machines=1)], Booked(), MACHINE)
    assert text is not None
    assert f"usable {14 * GIB - 146 * MIB} bytes" in text
    assert shortage([Ask("vm", memory=14 * GIB, machines=1)], Booked(), replace(MACHINE, overhead=0)) is None
    many = Booked(memory=10 * GIB, machines=10)
    assert shortage([Ask("vm", memory=3 * GIB, machines=1)], many, MACHINE) is not None


def test_a_disk_has_to_lie_on_one_pool() -> None:
    two = replace(MACHINE, pools=(replace(POOL, free=6 * GIB), replace(POOL, free=6 * GIB)))
    assert shortage([Ask("a", ssd=6 * GIB), Ask("b", ssd=6 * GIB)], Booked(), two) is None
    text = shortage([Ask("a", ssd=10 * GIB)], Booked(), two)
    assert text is not None
    assert text.startswith("not enough space left in pools of this type ssd")
    promised = Booked(unmade=(Ask("x", ssd=5 * GIB),))
    assert shortage([Ask("a", ssd=6 * GIB), Ask("b", ssd=6 * GIB)], promised, two) is not None


def test_what_asks_for_no_disk_is_not_refused_for_a_lost_pool() -> None:
    nothing = replace(MACHINE, pools=())
    assert shortage([ask(network())], Booked(unmade=(Ask("x", ssd=GIB),)), nothing) is None


@given(
    st.lists(st.integers(250 * MIB, 8 * GIB), max_size=10),
    st.integers(0, 20 * GIB),
    st.integers(0, 10),
    st.one_of(st.none(), st.integers(0, 16 * GIB)),
)
def test_memory_is_never_promised_twice(
    sizes: list[int], booked: int, machines: int, available: int | None
) -> None:
    facts = replace(MACHINE, available_memory=available)
    asks = [Ask(f"vm{n}", memory=size, machines=1) for n, size in enumerate(sizes)]
    if shortage(asks, Booked(booked, machines), facts) is None and asks:
        needed = sum(sizes) + len(sizes) * facts.overhead
        assert needed + booked + machines * facts.overhead + reserved_memory(16 * GIB) <= 16 * GIB
        assert available is None or needed <= available


class TestBackoff:
    def test_grows_to_five_minutes(self) -> None:
        backoff = Backoff()
        middle = [backoff.delay(n, 0.5) for n in range(1, 12)]
        assert middle[:4] == [1, 2, 4, 8]
        assert middle[-1] == 300
        assert backoff.delay(10**9, 0.999) == 300

    @given(st.integers(1, 1000), st.floats(0, 1, exclude_max=True))
    def test_stays_within_its_bounds(self, failures: int, chance: float) -> None:
        assert 1 <= Backoff().delay(failures, chance) <= 300

    def test_a_short_life_does_not_end_a_streak(self) -> None:
        backoff = Backoff()
        assert backoff.streak(4, 3.0) == 5
        assert backoff.streak(4, 301.0) == 1
