"""How much of a pool may be promised."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from provisioners.system.btrfs import Qgroup, Usage
from provisioners.system.space import ALIGN, MIN_GROWTH, backing, place, pool_space, rounded

GIB = 1 << 30
EMPTY = Usage(
    device_size=100 * GIB,
    unallocated=97 * GIB,
    data_size=GIB,
    data_used=0,
    metadata_size=GIB,
    metadata_used=0,
    metadata_ratio=2.0,
    global_reserve=0,
)


def test_an_empty_pool_keeps_something_for_itself() -> None:
    space = pool_space(EMPTY, [], [])
    assert space.promised == 0
    assert space.allocatable == 98 * GIB  # 2 % for metadata are there already, in its 2 GiB
    assert space.reserve == 2 * GIB


def test_metadata_that_is_used_up_is_made_good() -> None:
    full = replace(EMPTY, metadata_used=GIB)
    assert pool_space(full, [], []).allocatable == 96 * GIB


def test_a_small_pool_keeps_a_minimum() -> None:
    small = replace(EMPTY, device_size=GIB, unallocated=GIB, data_size=0, metadata_size=0)
    assert pool_space(small, [], []).allocatable == GIB - MIN_GROWTH


def test_a_quota_is_promised_whole_and_its_unused_part_is_kept() -> None:
    half_used = Qgroup(257, referenced=5 * GIB, limit=10 * GIB)
    space = pool_space(
        replace(EMPTY, data_size=6 * GIB, data_used=5 * GIB, unallocated=92 * GIB), [half_used], []
    )
    assert space.promised == 10 * GIB
    assert space.allocatable == 93 * GIB - (backing(10 * GIB) - 5 * GIB)


def test_disks_are_promised_and_already_taken() -> None:
    space = pool_space(
        replace(EMPTY, data_size=4 * GIB, data_used=3 * GIB, unallocated=94 * GIB), [], [GIB, 2 * GIB]
    )
    assert space.promised == 3 * GIB
    assert space.allocatable == 95 * GIB


def test_what_is_unlimited_counts_as_it_is_used() -> None:
    assert pool_space(EMPTY, [Qgroup(258, referenced=123, limit=0)], []).promised == 123


def test_sizes_are_whole_mebibytes() -> None:
    assert rounded(1) == ALIGN
    assert rounded(ALIGN) == ALIGN
    assert rounded(0) == 0


def test_the_largest_goes_first_to_the_emptiest_disk() -> None:
    assert place([5, 7], [7, 5]) is None
    assert place([5, 5, 5], [7, 9]) == 5
    assert place([1], []) == 1
    assert place([], []) is None


@given(st.lists(st.integers(1, 50), max_size=8), st.lists(st.integers(0, 100), max_size=4))
def test_what_is_said_to_fit_takes_no_more_than_there_is(sizes: list[int], room: list[int]) -> None:
    if place(sizes, room) is None:
        assert sum(sizes) <= sum(room)
