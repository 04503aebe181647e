"""Counters of tables: how they grow and how two copies compare."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from oio.service import versions
from oio.service.versions import Comparison

COUNTERS = st.dictionaries(st.sampled_from(["admin", "users", "services"]), st.integers(1, 5))
OPPOSITE = {
    Comparison.EQUAL: Comparison.EQUAL,
    Comparison.PIPE_TO: Comparison.PIPE_FROM,
    Comparison.PIPE_FROM: Comparison.PIPE_TO,
    Comparison.CONCURRENT: Comparison.CONCURRENT,
}


@pytest.mark.parametrize(
    ("local", "remote", "verdict"),
    [
        ({"admin": 1}, {"admin": 1}, Comparison.EQUAL),
        ({"admin": 1}, {"admin": 2}, Comparison.PIPE_FROM),
        ({"admin": 1}, {"admin": 1, "users": 1}, Comparison.PIPE_FROM),
        ({"admin": 5}, {"admin": 2}, Comparison.PIPE_TO),
        ({"admin": 2, "users": 1}, {"admin": 1, "users": 2}, Comparison.CONCURRENT),
    ],
)
def test_copies_compare_as_upstream_compares_them(
    local: dict[str, int], remote: dict[str, int], verdict: Comparison
) -> None:
    assert versions.compare(local, remote) is verdict


@given(COUNTERS, COUNTERS)
def test_two_copies_agree_on_how_they_stand(local: dict[str, int], remote: dict[str, int]) -> None:
    assert OPPOSITE[versions.compare(local, remote)] is versions.compare(remote, local)


@given(COUNTERS, st.sets(st.sampled_from(["users", "services"]), min_size=1))
def test_a_transaction_adds_one_to_what_it_changed_and_to_admin(
    counters: dict[str, int], changed: set[str]
) -> None:
    after = {**counters, **versions.bump(counters, changed)}
    for table in {*counters, *after}:
        grown = table in changed or table == "admin"
        assert after.get(table, 0) == counters.get(table, 0) + grown
    assert versions.compare(counters, after) is Comparison.PIPE_FROM


def test_malformed_counters_count_as_zero() -> None:
    rows = {"version:main.users": "7:0", "version:main.admin": "x", "sys.name": "9400"}
    assert versions.parse(rows) == {"users": 7, "admin": 0}
