from __future__ import annotations

from rmb.relay.limiter import Limit, Limiter
from tests.shared import report_count, vectors


def test_the_recorded_cases() -> None:
    cases = vectors("rmb")["rate_limiter"]["vectors"]
    for case in cases:
        limit = Limit(case["limit_count"], case["limit_size"])
        limiter = Limiter(limit, twins=10, window=case["window_s"])
        assert [limiter.allows(7, size, 100.0) for size in case["sizes"]] == case["allowed"]
    report_count("rmb rate_limiter", len(cases))


def test_an_oversized_message_is_refused_and_not_counted() -> None:
    limiter = Limiter(Limit(count=1, size=10), twins=10)
    assert not limiter.allows(7, 11, 0)
    assert limiter.allows(7, 10, 0)
    assert not limiter.allows(7, 0, 0)


def test_a_new_window_begins_at_the_full_minute() -> None:
    limiter = Limiter(Limit(count=1, size=10), twins=10)
    assert limiter.allows(7, 1, 119.9)
    assert not limiter.allows(7, 1, 119.9)
    assert limiter.allows(7, 1, 120.0)


def test_twins_are_counted_apart_and_the_memory_is_bounded() -> None:
    limiter = Limiter(Limit(count=1, size=10), twins=2)
    for twin in (1, 2, 3):
        assert limiter.allows(twin, 1, 0)
    assert not limiter.allows(3, 1, 0)
    assert limiter.allows(1, 1, 0), "the least active twin was forgotten"
