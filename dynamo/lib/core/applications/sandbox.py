"""What a child gives up before it runs somebody's program."""

from __future__ import annotations

import ctypes
import logging
import os
import pwd
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from dynamo.core import secrets
from dynamo.core.applications import cgroups, namespaces, seccomp
from dynamo.core.applications.cgroups import Cgroups, Group, Limits

LOG = logging.getLogger(__name__)

MAX_FILE = 1 << 30
"""Largest file that a program may write, its output included, in bytes."""
MAX_OPEN = 1024
"""Most files that a program may have open."""

_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True, slots=True)
class Cell:
    """Where one program is confined.

    `hidden` is a folder of which it sees its work area alone.  Where this machine has such, `group` limits it, and
    `first` is the first of its name space of processes.
    """

    user: str | None
    hidden: Path
    limits: Limits
    group: Group | None
    first: subprocess.Popen[bytes] | None


class Confinement:
    """Makes cells, as good as this machine can."""

    def __init__(self, user: str | None, hidden: Path, limits: Limits) -> None:
        """`user` runs programs, by default nobody; `hidden` is the folder of all work areas."""
        self._hidden = hidden.absolute()
        self._user = user
        self._limits = limits
        self._cgroups = cgroups.probe() if os.geteuid() == 0 else Cgroups(0, {}, "the server is not root")
        self._cgroups.sweep()
        self._number = 0

    @contextmanager
    def cell(self) -> Iterator[Cell]:
        """A cell for one program, which is to be forked within."""
        self._number += 1
        group = None
        try:
            group = self._cgroups.make(f"{os.getpid()}-{self._number}", self._limits)
        except OSError as error:
            LOG.error("A program runs without a control group: %s", error)
        with namespaces.own_processes() as first:
            yield Cell(self._user, self._hidden, self._limits, group, first)

    def leave(self, cell: Cell) -> str:
        """Take down the cell of a program that has ended and was waited for; why the kernel ended it, if it did.

        Whatever the program has left behind ends.
        """
        if cell.first is not None:
            cell.first.kill()
            cell.first.communicate()
        if cell.group is None:
            return ""
        ran_out = cell.group.ran_out_of_memory()
        self._cgroups.remove(cell.group)
        return (
            f"It used more than the {cell.limits.memory} bytes of memory that it may have" if ran_out else ""
        )

    def report(self) -> list[str]:
        """What holds programs here, and what does not with the reason, found out by a child that is confined."""
        found = [
            f"control groups of version {self._cgroups.version}: {', '.join(self._cgroups.places)}"
            if self._cgroups.places
            else "NOT control groups"
        ]
        if self._cgroups.missing:
            found[0] += f" (missing: {self._cgroups.missing})"
        area = self._hidden / f"probe-{os.getpid()}"
        area.mkdir(mode=0o700, parents=True, exist_ok=True)
        reading, writing = os.pipe()
        with self.cell() as cell:
            pid = os.fork()
            if pid == 0:
                try:
                    missing = confine(area, cell, False)
                    os.write(writing, "\n".join(missing or ["."]).encode())
                finally:
                    os._exit(0)
        os.close(writing)
        with os.fdopen(reading, "rb") as answer:
            lines = answer.read().decode().splitlines() or ["the probe ended without an answer"]
        os.waitpid(pid, 0)
        self.leave(cell)
        area.rmdir()
        found.append("NOT a name space of processes" if cell.first is None else "name space of processes")
        found += [f"NOT {line}" for line in lines if line != "."]
        if lines == ["."]:
            found.append("own user, files, network and calls of the kernel")
        return found


def confine(work_area: Path, cell: Cell, with_network: bool) -> list[str]:
    """Limit this process, for good: another user, no new privileges, and nothing to write but the work area.

    What cannot be done here, for people: without root there is no other user and no name space.
    Raises OSError when the user cannot be changed although it could be.
    """
    missing = []
    if cell.group is not None:
        cell.group.join()
    for limit, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, MAX_FILE),
        (resource.RLIMIT_NOFILE, MAX_OPEN),
        (resource.RLIMIT_MEMLOCK, 1 << 20),
        (resource.RLIMIT_MSGQUEUE, 0),
    ):
        _limit(limit, value)
    if cell.group is None:
        _limit(resource.RLIMIT_AS, _address_space() + cell.limits.memory)
    if os.geteuid() == 0:
        entry = pwd.getpwnam(cell.user or "nobody")
        os.chown(work_area, entry.pw_uid, entry.pw_gid)
        os.chdir(work_area)
        try:
            namespaces.separate(work_area, cell.hidden, with_network, cell.first is not None)
        except OSError as error:
            missing.append(f"name spaces of files and network: {error}")
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    else:
        missing.append("another user, and name spaces: the server is not root")
        os.chdir(work_area)
    secrets.wipe()
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    try:
        seccomp.install(with_network)
    except seccomp.SeccompMissing as error:
        missing.append(f"a filter of calls: {error.strerror}")
    os.umask(0o077)
    return missing


def _limit(which: int, value: int) -> None:
    _, most = resource.getrlimit(which)
    if most != resource.RLIM_INFINITY:
        value = min(value, most)
    resource.setrlimit(which, (value, value))


def _address_space() -> int:
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
