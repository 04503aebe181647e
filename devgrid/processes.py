"""Processes told apart for certain: a pid alone may be somebody else's tomorrow, a pid with its start time not."""

from __future__ import annotations

import json
import os
import select
import signal
import time
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class ProcessMark:
    """A process by pid and start time (clock ticks since boot) of this boot."""

    pid: int
    started: int
    boot: str

    @classmethod
    def of(cls, pid: int) -> ProcessMark:
        """Raises ProcessLookupError when it does not run."""
        return cls(pid, _start_time(pid), _boot_id())

    @property
    def alive(self) -> bool:
        try:
            return self.boot == _boot_id() and _start_time(self.pid) == self.started
        except ProcessLookupError:
            return False

    def kill(self) -> None:
        """SIGKILL, if it is still this process."""
        if self.alive:
            try:
                os.kill(self.pid, signal.SIGKILL)
            except ProcessLookupError:
                return

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it ended, at most `timeout` seconds; true when it did."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            if not self.alive:
                return True
            poll = select.poll()
            poll.register(descriptor, select.POLLIN)
            return bool(poll.poll(None if timeout is None else timeout * 1000))
        finally:
            os.close(descriptor)

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(self)))
        fresh.rename(path)

    @classmethod
    def load(cls, path: Path) -> ProcessMark | None:
        """The saved mark; None when there is none or it cannot be read."""
        try:
            return cls(**json.loads(path.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None


def only_child(pid: int, timeout: float = 10.0) -> int:
    """The pid of the first child of `pid`, waited for.  Raises TimeoutError, ProcessLookupError."""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        try:
            children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        except FileNotFoundError:
            raise ProcessLookupError(f"process {pid} ended") from None
        if children:
            return int(children[0])
        time.sleep(0.02)
    raise TimeoutError(f"process {pid} has no child after {timeout:.0f} s")


def _start_time(pid: int) -> int:
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except (FileNotFoundError, ProcessLookupError):
        raise ProcessLookupError(f"process {pid} does not run") from None
    state, *rest = stat.rpartition(")")[2].split()
    if state in "ZX":
        raise ProcessLookupError(f"process {pid} has ended")
    return int(rest[18])


def _boot_id() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
