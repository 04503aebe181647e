"""Why a machine came to its end, in words for the person whose machine it is.  Pure."""

from __future__ import annotations

import re
import signal
from dataclasses import dataclass
from enum import Enum

from provisioners.system.qmp import GuestEnd


class Kind(Enum):
    """How the end of a machine counts."""

    POWER_OFF = "power off"
    REBOOT = "reboot"
    CRASH = "crash"


@dataclass(frozen=True, slots=True)
class Ending:
    kind: Kind
    reason: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known when a machine's processes have ended."""

    guest_end: GuestEnd | None = None
    """What QEMU announced, when somebody listened."""
    exit_status: int | None = None
    """Of QEMU, negative for a signal; None when it was not our child."""
    out_of_memory: bool = False
    """The kernel killed a process of its group for want of memory."""
    lost_share: bool = False
    """A file server ended first."""


def ending(evidence: Evidence) -> Ending:
    """Judge the evidence; what explains more comes first."""
    if evidence.out_of_memory:
        return Ending(Kind.CRASH, "out of memory: the machine took more of the host's memory than it has")
    if evidence.lost_share:
        return Ending(Kind.CRASH, "the file server of its root file system ended")
    if evidence.guest_end is GuestEnd.PANIC:
        return Ending(Kind.CRASH, GuestEnd.PANIC.value)
    if evidence.exit_status not in (None, 0):
        return Ending(Kind.CRASH, f"QEMU ended with {_status(evidence.exit_status or 0)}")
    if evidence.guest_end is GuestEnd.REBOOT:
        return Ending(Kind.REBOOT, GuestEnd.REBOOT.value)
    if evidence.guest_end is GuestEnd.POWER_OFF:
        return Ending(Kind.POWER_OFF, GuestEnd.POWER_OFF.value)
    return Ending(Kind.CRASH, "QEMU ended without a word")


def _status(status: int) -> str:
    if status >= 0:
        return f"status {status}"
    try:
        return f"signal {signal.Signals(-status).name}"
    except ValueError:
        return f"signal {-status}"


EXCERPT_LINES = 6
EXCERPT_LIMIT = 600
"""Characters."""

_KERNEL_LINE = re.compile(r"^\[\s*\d+\.\d+\] ?(.*)")
_ESCAPES = re.compile(r"\x1b\[[0-9;?]*[@-~]|\x1b.|[\x00-\x08\x0b-\x1f\x7f]")


def last_words(log: bytes) -> str:
    """The last lines of a log on one line, short enough for an error (decision 52).

    Of a kernel's panic only the line that names its cause is kept, not the trace that follows.
    """
    kept: list[str] = []
    for raw in log.decode(errors="replace").splitlines():
        line = _ESCAPES.sub("", raw).strip()
        kernel = _KERNEL_LINE.match(line)
        if kernel and "Kernel panic" not in kernel[1]:
            continue
        if line:
            kept.append(kernel[1] if kernel else line)
    return " | ".join(kept[-EXCERPT_LINES:])[-EXCERPT_LIMIT:]
