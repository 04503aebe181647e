"""What a child gives up before it runs somebody's program."""

from __future__ import annotations

import ctypes
import logging
import os
import pwd
import resource
import struct
from pathlib import Path

LOG = logging.getLogger(__name__)

MAX_FILE = 1 << 30
"""Largest file that a program may write, its output included, in bytes."""
MAX_OPEN = 1024
"""Most files that a program may have open."""

_PR_SET_DUMPABLE = 4
_PR_SET_NO_NEW_PRIVS = 38
_MS_BIND, _MS_REC, _MS_PRIVATE = 0x1000, 0x4000, 1 << 18
_CLONE_NEWNS, _CLONE_NEWIPC, _CLONE_NEWNET = 0x00020000, 0x08000000, 0x40000000
_SYS_MOUNT_SETATTR = 442
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_MOUNT_ATTR_RDONLY = 1

_libc = ctypes.CDLL(None, use_errno=True)


def confine(work_area: Path, user: str | None, with_network: bool) -> None:
    """Limit this process, for good: another user, no new privileges, and nothing to write but the work area.

    Without root there is no other user and no name space of its own; what is left out is logged.
    Raises OSError when the user cannot be changed although it could be.
    """
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_FILE, MAX_FILE))
    resource.setrlimit(resource.RLIMIT_NOFILE, (MAX_OPEN, MAX_OPEN))
    if os.geteuid() == 0:
        entry = pwd.getpwnam(user or "nobody")
        os.chown(work_area, entry.pw_uid, entry.pw_gid)
        os.chdir(work_area)
        _separate(work_area, with_network)
        os.setgroups([])
        os.setgid(entry.pw_gid)
        os.setuid(entry.pw_uid)
    else:
        LOG.info("Not root: programs run as the server's own user and see its files")
        os.chdir(work_area)
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    os.umask(0o077)


def _separate(work_area: Path, with_network: bool) -> None:
    kinds = _CLONE_NEWNS | _CLONE_NEWIPC | (0 if with_network else _CLONE_NEWNET)
    try:
        _call("unshare", kinds)
        _call("mount", b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
        place = os.fsencode(work_area)
        _call("mount", place, place, None, _MS_BIND, None)
        _set_read_only(b"/", True, _AT_RECURSIVE)
        _set_read_only(place, False, 0)
        os.chdir(work_area)
    except OSError as error:
        LOG.warning("Programs run without name spaces of their own: %s", error)


def _set_read_only(place: bytes, read_only: bool, flags: int) -> None:
    attributes = (_MOUNT_ATTR_RDONLY, 0) if read_only else (0, _MOUNT_ATTR_RDONLY)
    packed = struct.pack("QQQQ", *attributes, 0, 0)
    _call("syscall", _SYS_MOUNT_SETATTR, _AT_FDCWD, place, flags, packed, len(packed))


def _call(name: str, *arguments: int | bytes | None) -> None:
    wide = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    if getattr(_libc, name)(*wide) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
