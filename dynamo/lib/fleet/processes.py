"""Processes that outlive the command that started them, found again by number and time of their start."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

STOP_S = 20.0
"""How long a process may take to end before it is killed, in seconds."""


def started_at(pid: int) -> int | None:
    """When a process started, in ticks since boot; None when it is not there, or has ended.

    Field 22 of /proc/PID/stat, as of Linux.
    """
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


def start(command: Sequence[str], record: Path, log: Path) -> None:
    """Start a process with a session of its own, and record it, unless the recorded one runs."""
    if runs(record):
        return
    with log.open("ab") as out:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=out, stderr=out, start_new_session=True
        )
    record.write_text(f"{process.pid} {started_at(process.pid)}")


def _recorded(record: Path) -> int | None:
    try:
        pid, moment = (int(word) for word in record.read_text().split())
    except (OSError, ValueError):
        return None
    return pid if started_at(pid) == moment else None


def runs(record: Path) -> bool:
    """Does a recorded process run?"""
    return _recorded(record) is not None


def stop(record: Path, number: signal.Signals = signal.SIGTERM) -> None:
    """End a recorded process, by force when it takes too long.  Nothing happens when it has ended."""
    pid = _recorded(record)
    end = time.monotonic() + STOP_S
    while pid is not None:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            break
        while _recorded(record) is not None and time.monotonic() < end:
            time.sleep(0.1)
        pid, number, end = _recorded(record), signal.SIGKILL, time.monotonic() + STOP_S
    record.unlink(missing_ok=True)
