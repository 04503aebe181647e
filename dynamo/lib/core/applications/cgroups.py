"""How much memory and how many processes a program may have: control groups of Linux, of either version.

They lie below the group that the server itself is in, so that the limits of whoever runs the server hold as well.
Pages of the image belong to the server's group; a program is charged for what it copies of them.
"""

from __future__ import annotations

import errno
import logging
import os
from dataclasses import dataclass, field
from pathlib import Path

LOG = logging.getLogger(__name__)

MOUNT = Path("/sys/fs/cgroup")
CONTROLLERS = ("memory", "pids")
_FILES = {
    1: {"memory": "memory.limit_in_bytes", "pids": "pids.max"},
    2: {"memory": "memory.max", "pids": "pids.max"},
}


@dataclass(frozen=True, slots=True)
class Limits:
    """Most memory in bytes, and most processes and threads, of one program."""

    memory: int
    processes: int


@dataclass(frozen=True, slots=True)
class Group:
    """The control group of one program: a folder of each hierarchy that limits something."""

    folders: tuple[Path, ...]

    def join(self) -> None:
        """Put this process into it.  Raises OSError."""
        for folder in self.folders:
            (folder / "cgroup.procs").write_text("0")

    def ran_out_of_memory(self) -> bool:
        """Was a process killed because the group had used up its memory?"""
        for folder in self.folders:
            for name in ("memory.events", "memory.oom_control"):
                try:
                    words = [line.split() for line in (folder / name).read_text().splitlines()]
                except OSError:
                    continue
                if any(word[0] == "oom_kill" and int(word[1]) > 0 for word in words):
                    return True
        return False

    def remove(self) -> bool:
        """Remove it; False while some process of it has not ended."""
        for folder in self.folders:
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError:
                return False
        return True


@dataclass(slots=True)
class Cgroups:
    """The groups of a server's programs, below `places` by controller."""

    version: int
    places: dict[str, Path]
    missing: str = ""
    """Why something cannot be limited, for people."""
    _left: list[Group] = field(default_factory=list)

    def make(self, name: str, limits: Limits) -> Group | None:
        """A group for one program; None where there is nothing to limit with.  Raises OSError."""
        self._left = [group for group in self._left if not group.remove()]
        if not self.places:
            return None
        group = Group(tuple(dict.fromkeys(place / f"dynamo-{name}" for place in self.places.values())))
        values = {"memory": limits.memory, "pids": limits.processes}
        try:
            for folder in group.folders:
                folder.mkdir(exist_ok=True)
            for controller, place in self.places.items():
                file = place / f"dynamo-{name}" / _FILES[self.version][controller]
                file.write_text(str(values[controller]))
        except OSError:
            self.remove(group)
            raise
        return group

    def sweep(self) -> None:
        """Remove what servers have left that were killed."""
        for place in set(self.places.values()):
            for folder in place.glob("dynamo-*-*"):
                pid = folder.name.split("-")[1]
                if pid.isdigit() and not Path("/proc", pid).exists():
                    Group((folder,)).remove()

    def remove(self, group: Group) -> None:
        """Remove the group of a program that has ended, at once or as soon as it is empty."""
        if not group.remove():
            self._left.append(group)


def probe(mount: Path = MOUNT, own: str | None = None) -> Cgroups:
    """What this machine limits with, found out by making a group.

    `own` is the text of /proc/self/cgroup.  A server whose group of version 2 has no groups below it yet moves into
    a group `server` of its own: that version allows processes at the leaves alone.
    """
    text = Path("/proc/self/cgroup").read_text() if own is None else own
    lines = [line.split(":", 2) for line in text.splitlines()]
    paths = {controller: path for _, names, path in lines for controller in names.split(",")}
    try:
        if (mount / "cgroup.controllers").exists():
            return _probed_v2(mount, paths.get("", "/"))
        return _probed_v1(mount, paths)
    except OSError as error:
        return Cgroups(0, {}, f"{error.strerror or error} ({error.filename})")


def _below(mount: Path, path: str) -> Path:
    """The folder of a group; the mount itself when that shows a part of the hierarchy only."""
    folder = mount / path.lstrip("/")
    return folder if folder.is_dir() else mount


def _probed_v1(mount: Path, paths: dict[str, str]) -> Cgroups:
    found: dict[str, Path] = {}
    missing = []
    for controller in CONTROLLERS:
        place = _below(mount / controller, paths.get(controller, "/"))
        try:
            if not (place / "cgroup.procs").exists():
                raise OSError(errno.ENOENT, "no such hierarchy", str(mount / controller))
            _try(place)
            found[controller] = place
        except OSError as error:
            missing.append(f"{controller}: {error.strerror}")
    return Cgroups(1 if found else 0, found, "; ".join(missing))


def _probed_v2(mount: Path, path: str) -> Cgroups:
    place = _below(mount, path)
    lacking = set(CONTROLLERS) - set((place / "cgroup.controllers").read_text().split())
    if lacking:
        return Cgroups(0, {}, f"{', '.join(sorted(lacking))} not given to {place}")
    control = place / "cgroup.subtree_control"
    words = " ".join(f"+{controller}" for controller in CONTROLLERS)
    if not set(CONTROLLERS) <= set(control.read_text().split()):
        try:
            control.write_text(words)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            leaf = place / "server"
            leaf.mkdir(exist_ok=True)
            for pid in (place / "cgroup.procs").read_text().split():
                (leaf / "cgroup.procs").write_text(pid)
            control.write_text(words)
    _try(place)
    return Cgroups(2, dict.fromkeys(CONTROLLERS, place))


def _try(place: Path) -> None:
    scratch = place / f"dynamo-probe-{os.getpid()}"
    scratch.mkdir()
    scratch.rmdir()
