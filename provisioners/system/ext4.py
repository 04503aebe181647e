"""The ext4 on a virtual disk, made by the node for guests in container mode (decision 39).

What a disk's content is stands in an extended attribute of the file, so that a disk is formatted once in its life,
whatever its user did to it since (decision 62).
"""

from __future__ import annotations

import os
from pathlib import Path

from provisioners.system import block
from provisioners.system.command import run

_MARK = "user.zos.content"
_FORMATTING = b"formatting"
_EXT4 = b"ext4"
_TIMEOUT = 300.0
_OPTIONS = (
    "nodiscard",  # without it mkfs gives the preallocation back
    "lazy_itable_init=1",
    "assume_storage_prezeroed=1",  # a preallocated file reads as zeroes
)


async def ensure(disk: Path) -> None:
    """Ensure that a virtual disk was formatted once.

    A disk that already carries anything, or was formatted before, is left as it is.  Nobody else may have it open.
    Raises CommandFailed.
    """
    mark = _read_mark(disk)
    if mark == _EXT4:
        return
    if mark != _FORMATTING and await block.probe(disk):
        return
    os.setxattr(disk, _MARK, _FORMATTING)  # cut from here on, it is ours to format again
    await run("mkfs.ext4", "-q", "-F", "-m", "0", "-E", ",".join(_OPTIONS), str(disk), timeout=_TIMEOUT)
    _sync(disk)
    os.setxattr(disk, _MARK, _EXT4)


def _read_mark(disk: Path) -> bytes:
    try:
        return os.getxattr(disk, _MARK)
    except OSError:
        return b""


def _sync(disk: Path) -> None:
    descriptor = os.open(disk, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
