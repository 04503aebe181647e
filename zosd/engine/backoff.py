"""How long to wait before the next try (decision 6)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """Doubles from `shortest` to `longest` seconds, each spread by a quarter to both sides."""

    shortest: float = 1.0
    longest: float = 300.0

    def delay(self, failures: int, chance: float) -> float:
        """Seconds to wait after the n-th failure in a row (n from 1); `chance` in [0, 1) spreads it."""
        # 2**64 s is beyond any limit; without the cap a long row of failures would overflow a float.
        base = min(self.longest, self.shortest * 2.0 ** min(max(failures - 1, 0), 64))
        return min(self.longest, max(self.shortest, base * (0.75 + 0.5 * chance)))

    def streak(self, failures: int, good_for: float) -> int:
        """Failures in a row, counting one that happens now after `good_for` seconds of success (0: none).

        A machine that dies a few seconds after each start stays in its streak.
        """
        return 1 if good_for >= self.longest else failures + 1
