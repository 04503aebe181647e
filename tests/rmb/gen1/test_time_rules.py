from __future__ import annotations

import pytest

from rmb.gen1 import time_rules


def test_an_expiration_of_zero_stands_for_an_hour() -> None:
    assert time_rules.lifetime(0) == 3600
    assert time_rules.lifetime(-5) == 0
    assert time_rules.deadline(100, 0) == 3700


def test_a_message_is_fresh_for_sixty_seconds_both_ways() -> None:
    assert not time_rules.too_old(160, 100)
    assert time_rules.too_old(161, 100)
    assert not time_rules.too_new(100, 160)
    assert time_rules.too_new(100, 161)
    assert time_rules.fresh_until(100) == 160


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0s"), (61.5, "1m1.5s"), (0.25, "0.25s"), (3600, "1h0m0s"), (3661, "1h1m1s"), (-90, "-1m30s")],
)
def test_spans_read_as_go_prints_them(seconds: float, text: str) -> None:
    assert time_rules.go_duration(seconds) == text
