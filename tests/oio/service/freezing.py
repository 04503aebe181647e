"""A service that stops itself once, as SIGSTOP does, amid a write: `python -m tests.oio.service.freezing …`.

The write is the first one in which MARK stands. It is in the service's own log then, and nobody else has heard of it.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence
from typing import Final

from oio.service.base import Base
from oio.service.process import main
from oio.service.replica import Entry

MARK: Final = "frozen amid this"


def freeze_once() -> None:
    """Make this process stop there."""
    kept = Base.replace_tail

    def freezing(self: Base, token: int, entries: Sequence[Entry]) -> None:
        kept(self, token, entries)
        if any(MARK.encode() in entry.change for entry in entries):
            Base.replace_tail = kept  # type: ignore[method-assign]
            os.kill(os.getpid(), signal.SIGSTOP)

    Base.replace_tail = freezing  # type: ignore[method-assign]


if __name__ == "__main__":
    freeze_once()
    main()
