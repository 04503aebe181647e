"""Whether a service counts as up, from the results of its checks. Pure."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(slots=True)
class Health:
    """The first check counts at once; then `fall` failures in a row bring it down, `rise` successes up again."""

    rise: int
    fall: int
    up: bool | None = None
    streak: int = 0

    def note(self, passed: bool) -> bool:
        """Take the result of one round of checks; whether the service is up then."""
        if self.up is None:
            self.up = passed
        elif passed == self.up:
            self.streak = 0
        else:
            self.streak += 1
            if self.streak >= (self.rise if passed else self.fall):
                self.up, self.streak = passed, 0
        return self.up
