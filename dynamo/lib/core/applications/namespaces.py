"""Name spaces of a program: its own view of files, processes, and the network."""

from __future__ import annotations

import ctypes
import os
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_MS_NOSUID, _MS_NODEV, _MS_NOEXEC, _MS_BIND, _MS_REC, _MS_PRIVATE = 2, 4, 8, 0x1000, 0x4000, 1 << 18
_NEWNS, _NEWIPC, _NEWPID, _NEWNET = 0x00020000, 0x08000000, 0x20000000, 0x40000000
_SYS_OPEN_TREE, _SYS_MOVE_MOUNT, _SYS_MOUNT_SETATTR = 428, 429, 442
_OPEN_TREE_CLONE, _MOVE_MOUNT_F_EMPTY_PATH = 1, 4
_AT_FDCWD, _AT_RECURSIVE = -100, 0x8000
_MOUNT_ATTR_RDONLY = 1

_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def own_processes() -> Iterator[subprocess.Popen[bytes] | None]:
    """What is forked within is in a name space of processes, all of which end with its first one.

    That first one, which ends when it is killed, and when this process ends; None where there is no such name space,
    as without root.
    """
    here = -1
    first: subprocess.Popen[bytes] | None = None
    try:
        here = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
        _call("unshare", _NEWPID)
        try:
            # Signals of its own kind cannot end the first process of a name space, so it is none of the program's.
            first = subprocess.Popen(
                ["/bin/cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        except OSError:
            _call("setns", here, _NEWPID)
            raise
    except OSError:
        yield None
    else:
        try:
            yield first
        finally:
            _call("setns", here, _NEWPID)
    finally:
        if here >= 0:
            os.close(here)


def separate(work_area: Path, hidden: Path, with_network: bool, has_own_processes: bool) -> None:
    """Give this process, which is root, a view of its own: nothing can be written but the work area.

    Of the folder `hidden` only the work area is left, and of processes those of the own name space.  Raises OSError.
    """
    _call("unshare", _NEWNS | _NEWIPC | (0 if with_network else _NEWNET))
    _call("mount", b"none", b"/", None, _MS_REC | _MS_PRIVATE, None)
    if has_own_processes:
        _call("mount", b"proc", b"/proc", b"proc", _MS_NOSUID | _MS_NODEV | _MS_NOEXEC, None)
    place = os.fsencode(work_area)
    own = _result("syscall", _SYS_OPEN_TREE, _AT_FDCWD, place, _OPEN_TREE_CLONE | os.O_CLOEXEC)
    try:
        if work_area != hidden:
            _call(
                "mount", b"tmpfs", os.fsencode(hidden), b"tmpfs", _MS_NOSUID | _MS_NODEV, b"size=64k,mode=755"
            )
            work_area.mkdir(parents=True)
        _call("syscall", _SYS_MOVE_MOUNT, own, b"", _AT_FDCWD, place, _MOVE_MOUNT_F_EMPTY_PATH)
    finally:
        os.close(own)
    _set_read_only(b"/", True, _AT_RECURSIVE)
    _set_read_only(place, False, 0)
    os.chdir(work_area)


def _set_read_only(place: bytes, read_only: bool, flags: int) -> None:
    attributes = (_MOUNT_ATTR_RDONLY, 0) if read_only else (0, _MOUNT_ATTR_RDONLY)
    packed = struct.pack("QQQQ", *attributes, 0, 0)
    _call("syscall", _SYS_MOUNT_SETATTR, _AT_FDCWD, place, flags, packed, len(packed))


def _call(name: str, *arguments: int | bytes | None) -> None:
    _result(name, *arguments)


def _result(name: str, *arguments: int | bytes | None) -> int:
    wide = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result = int(getattr(_libc, name)(*wide))
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result
