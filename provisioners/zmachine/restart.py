"""When a machine that ended is started again, and what is said about it meanwhile (decision 6).  Pure.

A machine is never given up: the pauses grow, from one second to five minutes.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field

from provisioners.zmachine.ending import Ending, Kind

FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 300.0
JITTER = 0.2
"""Share by which a pause is made longer or shorter, so that many machines do not come back at once."""
STABLE_S = 30.0
"""A machine that ran this long works again: what was before is forgotten."""
RESTLESS = 3
"""A machine that switches itself off sooner than that, more often than this in a row, is shown as failing."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What follows from an end."""

    pause: float
    """Seconds until the next start."""
    error: str | None
    """For the tenant; None when the end was his own doing."""


@dataclass(slots=True)
class RestartPolicy:
    """Counts the ends of one machine."""

    jitter: Callable[[float, float], float] = field(default=random.uniform)
    failures: int = 0
    """Ends in a row without a stable run between them."""

    def ended(self, end: Ending, uptime: float, last_words: str = "") -> Verdict:
        """Judge an end after `uptime` seconds."""
        if uptime >= STABLE_S:
            self.failures = 0
        if end.kind is Kind.REBOOT and uptime >= STABLE_S:
            return Verdict(0.0, None)
        self.failures += 1
        if end.kind is not Kind.CRASH and self.failures <= RESTLESS:
            return Verdict(self._pause(), None)
        return self._failing(end.reason, last_words)

    def not_started(self, reason: str) -> Verdict:
        """Judge a start that failed."""
        self.failures += 1
        return self._failing(reason, "")

    def _failing(self, reason: str, last_words: str) -> Verdict:
        pause = self._pause()
        times = "once" if self.failures == 1 else f"{self.failures} times in a row"
        message = f"the machine ended ({reason}), {times}; it is started again after {pause:.0f} s"
        return Verdict(pause, f"{message}. Last lines: {last_words}" if last_words else message)

    def _pause(self) -> float:
        grown = min(FIRST_PAUSE_S * 2.0 ** min(self.failures - 1, 16), LONGEST_PAUSE_S)
        return min(grown * self.jitter(1 - JITTER, 1 + JITTER), LONGEST_PAUSE_S)
