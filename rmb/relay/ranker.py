"""Which of a twin's relays to try first: the one that failed least of late."""

from __future__ import annotations

import random
from collections.abc import Iterable
from typing import Final

PERIOD: Final = 3600.0
"""Seconds after which a failure is forgotten."""
MAX_RELAYS: Final = 1000
MAX_FAILURES: Final = 1000
"""Remembered of one relay."""


class Ranker:
    """Remembers when relays failed; in memory only."""

    def __init__(self, period: float = PERIOD) -> None:
        self._period = period
        self._failures: dict[str, list[float]] = {}

    def failed(self, relay: str, now: float) -> None:
        """Count a failure, and forget those that are too old."""
        kept = [time for time in self._failures.pop(relay, ()) if now - time < self._period]
        self._failures[relay] = [*kept, now][-MAX_FAILURES:]
        while len(self._failures) > MAX_RELAYS:
            del self._failures[next(iter(self._failures))]

    def order(self, relays: Iterable[str], now: float) -> list[str]:
        """The relays, fewest failures within the period first; ties in random order."""
        shuffled = list(relays)
        random.shuffle(shuffled)
        return sorted(shuffled, key=lambda relay: self._recent(relay, now))

    def _recent(self, relay: str, now: float) -> int:
        return sum(now - time < self._period for time in self._failures.get(relay, ()))
