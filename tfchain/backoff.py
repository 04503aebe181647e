"""Growing pauses between tries, with jitter so that many clients do not come back in the same moment."""

from __future__ import annotations

import random


class Backoff:
    """Pauses of `first` seconds, doubling up to `most`; each is shortened by up to a half at random."""

    def __init__(self, first: float, most: float) -> None:
        self._first = first
        self._most = most
        self._failures = 0

    def next(self) -> float:
        """The pause after one more failure, in seconds."""
        pause = min(self._first * 2.0 ** min(self._failures, 30), self._most)
        self._failures += 1
        return pause * random.uniform(0.5, 1.0)

    def reset(self) -> None:
        """Begin anew after a success."""
        self._failures = 0
