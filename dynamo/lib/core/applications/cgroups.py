"""How much memory and how many processes a program may have: control groups of Linux, of either version.

They lie below the group that the server itself is in, so that the limits of whoever runs the server hold as well.
Pages of the image belong to the server's group; a program is charged for what it copies of them.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
from dataclasses import dataclass, field
from pathlib import Path

LOG = logging.getLogger(__name__)

MOUNT = Path("/sys/fs/cgroup")
CONTROLLERS = ("memory", "pids")
LEAF = "server"
"""The group below its own that a server of version 2 moves into."""
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
            for folder in group.folders:
                swap = folder / "memory.swap.max"  # of version 2, which counts swap by itself
                if swap.exists():
                    swap.write_text("0")
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

    `own` is the text of /proc/self/cgroup.  A server of version 2 moves with its processes into a leaf of its group,
    since that version allows processes at leaves alone; processes of others in the same group are left where they are,
    and then there is nothing to limit with.
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
    if place.name == LEAF and _gives(place.parent):
        place = place.parent  # whoever started this server was in the leaf of another one
    lacking = set(CONTROLLERS) - set((place / "cgroup.controllers").read_text().split())
    if lacking:
        return Cgroups(0, {}, f"{', '.join(sorted(lacking))} not given to {place}")
    if not _gives(place):
        try:
            _give(place)
        except OSError as error:
            if error.errno != errno.EBUSY:
                raise
            _make_way(place)
            _give(place)
    _try(place)
    return Cgroups(2, dict.fromkeys(CONTROLLERS, place))


def _gives(place: Path) -> bool:
    """Do groups below this one have the controllers?"""
    return set(CONTROLLERS) <= set((place / "cgroup.subtree_control").read_text().split())


def _give(place: Path) -> None:
    (place / "cgroup.subtree_control").write_text(" ".join(f"+{controller}" for controller in CONTROLLERS))


def _make_way(place: Path) -> None:
    """Move this process and those that it has started into a leaf.  Raises OSError when others are there as well."""
    inside = [int(word) for word in (place / "cgroup.procs").read_text().split()]
    others = [pid for pid in inside if not _is_ours(pid)]
    if others:
        raise OSError(errno.EBUSY, f"process {others[0]} is in the group of the server", str(place))
    leaf = place / LEAF
    leaf.mkdir(exist_ok=True)
    for pid in inside:
        with contextlib.suppress(ProcessLookupError):
            (leaf / "cgroup.procs").write_text(str(pid))


def _is_ours(pid: int) -> bool:
    """Is it this process or one that descends from it?  One that has ended bothers nobody."""
    while pid not in (0, os.getpid()):
        try:
            status = Path(f"/proc/{pid}/status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return True
        pid = int(status.partition("PPid:")[2].split()[0])
    return pid != 0


def _try(place: Path) -> None:
    scratch = place / f"dynamo-probe-{os.getpid()}"
    scratch.mkdir()
    scratch.rmdir()
