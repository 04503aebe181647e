"""Control groups: memory and CPU limits for the processes of one machine (decision 44).

Version 2 where it controls memory, else version 1 (its `memory` and `cpu` hierarchies), chosen by trying.  A group
also tells which processes belong to a machine, whatever else was lost.
"""

from __future__ import annotations

import errno
import os
import signal
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

MOUNT = Path("/sys/fs/cgroup")
PARENT = "zos"
"""Group below which all of a node's machines lie."""
PERIOD_US = 100_000
REMOVE_LIMIT_S = 5.0
MAKE_TRIES = 10


class Layout(Enum):
    """Which control groups this host has."""

    V2 = "cgroup v2"
    V1 = "cgroup v1"
    NONE = "no usable cgroups"


@dataclass(frozen=True, slots=True)
class Limits:
    """What a group may use."""

    memory: int
    """Bytes, page cache of its own files included (the kernel takes that back under pressure)."""
    cpus: float
    """Processors' worth of time."""


def probe(mount: Path = MOUNT) -> Layout:
    """Find out what works by making a group and removing it."""
    if (mount / "cgroup.controllers").exists():
        return Layout.V2 if _try_v2(mount) else Layout.NONE
    return Layout.V1 if _try_v1(mount) else Layout.NONE


def _try_v2(mount: Path) -> bool:
    try:
        _enable_controllers(mount)
        parent = mount / PARENT
        parent.mkdir(exist_ok=True)
        _enable_controllers(parent)
        works = {"memory", "cpu"} <= set((parent / "cgroup.subtree_control").read_text().split())
        _remove_empty(parent)
        return works
    except OSError:
        return False


def _try_v1(mount: Path) -> bool:
    scratch = mount / "memory" / f"{PARENT}-probe-{os.getpid()}-{time.monotonic_ns()}"
    try:
        scratch.mkdir()
        scratch.rmdir()
    except OSError:
        return False
    return (mount / "memory/memory.limit_in_bytes").exists()


def _enable_controllers(folder: Path) -> None:
    (folder / "cgroup.subtree_control").write_text("+memory +cpu")


@dataclass(frozen=True, slots=True)
class Group:
    """The control group of one machine.  Every verb is safe to repeat."""

    name: str
    layout: Layout
    mount: Path = MOUNT

    def folders(self) -> list[Path]:
        """The group's folder in every hierarchy that it uses."""
        if self.layout is Layout.V2:
            return [self.mount / PARENT / self.name]
        if self.layout is Layout.V1:
            present = (self.mount / controller for controller in ("memory", "cpu"))
            return [folder / PARENT / self.name for folder in present if folder.is_dir()]
        return []

    def entrances(self) -> list[Path]:
        """Files into which a process writes `0` to join."""
        return [folder / "cgroup.procs" for folder in self.folders()]

    def ensure(self, limits: Limits) -> None:
        """Make the group and set its limits."""
        for folder in self.folders():
            _make(folder, self.layout)
        quota = max(1000, round(limits.cpus * PERIOD_US))
        if self.layout is Layout.V2:
            (folder,) = self.folders()
            (folder / "memory.max").write_text(str(limits.memory))
            (folder / "cpu.max").write_text(f"{quota} {PERIOD_US}")
        elif self.layout is Layout.V1:
            for folder in self.folders():
                if (limit := folder / "memory.limit_in_bytes").exists():
                    limit.write_text(str(limits.memory))
                if (limit := folder / "cpu.cfs_quota_us").exists():
                    (folder / "cpu.cfs_period_us").write_text(str(PERIOD_US))
                    limit.write_text(str(quota))

    def exists(self) -> bool:
        return any(folder.is_dir() for folder in self.folders())

    def pids(self) -> set[int]:
        """Processes in the group, zombies included."""
        found: set[int] = set()
        for entrance in self.entrances():
            try:
                found |= {int(pid) for pid in entrance.read_text().split()}
            except OSError as error:
                if error.errno not in (errno.ENOENT, errno.ENODEV):
                    raise
        return found

    def oom_kills(self) -> int:
        """How often the kernel ended a process of the group for want of memory."""
        for folder in self.folders():
            for file in ("memory.events", "memory.oom_control"):
                try:
                    lines = (folder / file).read_text().splitlines()
                except OSError:
                    continue
                for line in lines:
                    key, _, value = line.partition(" ")
                    if key == "oom_kill":
                        return int(value)
        return 0

    def memory_used(self) -> int:
        """Bytes charged to the group now; 0 when it does not exist."""
        for folder in self.folders():
            for file in ("memory.current", "memory.usage_in_bytes"):
                try:
                    return int((folder / file).read_text())
                except OSError:
                    continue
        return 0

    def kill_and_remove(self) -> None:
        """Kill whatever is left in the group, then remove it.  Blocks for up to REMOVE_LIMIT_S.

        Raises OSError when a process cannot be ended (it hangs in the kernel).
        """
        deadline = time.monotonic() + REMOVE_LIMIT_S
        while True:
            for pid in self.pids() - {0}:
                # Only members are killed, and nobody joins but through our launcher.
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    pass
            try:
                for folder in self.folders():
                    if folder.is_dir():
                        folder.rmdir()
                    _remove_empty(folder.parent)
                return
            except OSError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(0.02)


def _make(folder: Path, layout: Layout) -> None:
    """Make a group and the one around it, which the end of another machine may remove in the same moment.

    Raises OSError.
    """
    for attempt in range(MAKE_TRIES):
        try:
            folder.parent.mkdir(exist_ok=True)
            if layout is Layout.V2:
                _enable_controllers(folder.parent)
            folder.mkdir(exist_ok=True)
            return
        except FileNotFoundError:
            if attempt == MAKE_TRIES - 1:
                raise


def _remove_empty(folder: Path) -> None:
    """Remove the group around all machines when none is in it."""
    try:
        folder.rmdir()
    except OSError as error:
        if error.errno not in (errno.EBUSY, errno.ENOTEMPTY, errno.ENOENT):
            raise
