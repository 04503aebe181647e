"""Loop devices that go away by themselves.

Attached with autoclear: the kernel detaches the device when its last user (a mount, or the file descriptor kept
here) is gone, also when the process that attached it was killed.
"""

from __future__ import annotations

import fcntl
import os
import struct
from pathlib import Path

_LOOP_CTL_GET_FREE = 0x4C82
_LOOP_CONFIGURE = 0x4C0A
_LO_FLAGS_AUTOCLEAR = 4
_LO_FLAGS_DIRECT_IO = 16
_LOOP_INFO64 = struct.Struct("=QQQQQIIII64s64s32s2Q")
_LOOP_CONFIG = struct.Struct(f"=II{_LOOP_INFO64.size}s8Q")
_BLOCK_SIZE = 512
_TRIES = 32


class LoopDevice:
    """A loop device over one file, held as long as this object is open."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        """`/dev/loopN`."""
        self._descriptor = descriptor

    @classmethod
    def attach(cls, backing: Path, *, direct: bool = False) -> LoopDevice:
        """Attach `backing` to a free loop device; `direct`: past the page cache of its file.  Raises OSError."""
        file = os.open(backing, os.O_RDWR | os.O_CLOEXEC)
        try:
            for attempt in range(_TRIES):
                path = _free_device()
                device = os.open(path, os.O_RDWR | os.O_CLOEXEC)
                try:
                    fcntl.ioctl(device, _LOOP_CONFIGURE, _configuration(file, backing, direct))
                except OSError:
                    os.close(device)
                    if attempt == _TRIES - 1:  # somebody else took the free device, again and again
                        raise
                    continue
                return cls(path, device)
        finally:
            os.close(file)
        raise OSError(f"no free loop device for {backing}")

    def close(self) -> None:
        os.close(self._descriptor)


def make_sparse(path: Path, size: int) -> None:
    """Ensure a sparse file of `size` bytes; one that exists keeps its content and its size."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.exists():
        return
    fresh = path.with_suffix(".new")
    with fresh.open("wb") as file:
        file.truncate(size)
    fresh.rename(path)


def _free_device() -> Path:
    control = os.open("/dev/loop-control", os.O_RDWR | os.O_CLOEXEC)
    try:
        return Path(f"/dev/loop{fcntl.ioctl(control, _LOOP_CTL_GET_FREE)}")
    finally:
        os.close(control)


def _configuration(file: int, backing: Path, direct: bool) -> bytes:
    name = os.fsencode(backing)[-63:]
    flags = _LO_FLAGS_AUTOCLEAR | (_LO_FLAGS_DIRECT_IO if direct else 0)
    info = _LOOP_INFO64.pack(0, 0, 0, 0, 0, 0, 0, 0, flags, name, b"", b"", 0, 0)
    return _LOOP_CONFIG.pack(file, _BLOCK_SIZE, info, *[0] * 8)
