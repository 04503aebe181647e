from __future__ import annotations

from rmb.relay.ranker import MAX_RELAYS, Ranker
from tests.shared import report_count, vectors


def test_the_recorded_cases() -> None:
    cases = vectors("rmb")["ranker"]["vectors"]
    for case in cases:
        ranker = Ranker()
        for relay in case["downvotes"]:
            ranker.failed(relay, 0.0)
        for _ in range(20):
            order = ranker.order(case["candidates"], 1.0)
            assert sorted(order) == sorted(case["candidates"])
            if "order" in case:
                assert order == case["order"]
            else:
                assert order[-1] == case["last"]
    report_count("rmb ranker", len(cases))


def test_ties_are_broken_by_chance() -> None:
    ranker = Ranker()
    assert len({tuple(ranker.order(["a", "b"], 0.0)) for _ in range(100)}) == 2


def test_a_failure_is_forgotten_after_the_period() -> None:
    ranker = Ranker(period=10.0)
    ranker.failed("a", 0.0)
    assert ranker.order(["a", "b"], 9.0) == ["b", "a"]
    assert len({tuple(ranker.order(["a", "b"], 10.0)) for _ in range(100)}) == 2


def test_the_memory_is_bounded() -> None:
    ranker = Ranker()
    for number in range(MAX_RELAYS + 1):
        ranker.failed(str(number), 0.0)
    assert ranker.order(["0", "1"], 0.0) == ["0", "1"]
