"""How a machine is doing, for the daemon to show."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gridtypes import WorkloadId


class GuestState(Enum):
    RUNNING = "running"
    PAUSED = "paused"
    WAITING = "waiting"
    """It ended; the next start has a time."""
    FOREIGN = "foreign"
    """It runs, but was started by a version of the daemon that this one does not understand; it is left alone."""


@dataclass(frozen=True, slots=True)
class GuestStatus:
    """One look at a machine.

    `error` is what the workload's result should say: the workload's state is `error` with this text while it is set,
    and `ok` again when it is None.  It stays for a while after a restart, until the machine has run long enough to
    count as working.
    """

    id: WorkloadId
    state: GuestState
    since: float
    """Unix time at which this state began."""
    failures: int = 0
    """Ends in a row without a stable run between them."""
    restarts: int = 0
    """Starts after the first, since the daemon knows the machine."""
    error: str | None = None
    next_try: float | None = None
    """Unix time of the next start, while it is WAITING."""
