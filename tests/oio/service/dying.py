"""A service that kills itself at one point of the write path: `python -m tests.oio.service.dying POINT …`.

POINT is `<method>-before` or `<method>-after`, for a method of a base that writes to the disk; the rest are the
arguments of `oio.service.process`.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import Any

from oio.service.base import Base
from oio.service.process import main

POINTS = tuple(
    f"{name}-{when}" for name in ("replace_tail", "commit", "promise") for when in ("before", "after")
)


def die_at(point: str) -> None:
    """Make this process die there, at a base that has taken a change before."""
    name, _, when = point.partition("-")
    kept = getattr(Base, name)

    def dying(self: Base, *args: Any) -> Any:
        doomed = self.name.type == "meta1" and self.facts().committed > 0
        if doomed and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        result = kept(self, *args)
        if doomed:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(Base, name, dying)


if __name__ == "__main__":
    die_at(sys.argv.pop(1))
    main()
