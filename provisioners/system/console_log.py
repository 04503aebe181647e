"""The log of a machine's serial console, which QEMU itself writes, and its rotation.

QEMU appends through a descriptor that it keeps, so rotating is copying the end away and truncating.
"""

from __future__ import annotations

import os
from pathlib import Path

LIMIT = 8 * 1024 * 1024
"""Bytes at which the log is rotated."""
KEPT = 4 * 1024 * 1024
"""Bytes that go into `<log>.0` then."""


class ConsoleLog:
    """One log file; its folder is ours alone."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.old = path.with_name(path.name + ".0")

    def open(self) -> int:
        """A descriptor to append to; the caller closes it."""
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        return os.open(self.path, flags, 0o600)

    def tail(self, size: int) -> bytes:
        """The last `size` bytes, from before a rotation too; empty when there is no log."""
        newest = _end_of(self.path, size)
        return _end_of(self.old, size - len(newest)) + newest if len(newest) < size else newest

    def rotate(self) -> bool:
        """Rotate when the log is longer than LIMIT.  What is written in between these two calls may be lost."""
        try:
            if self.path.stat().st_size <= LIMIT:
                return False
        except FileNotFoundError:
            return False
        fresh = self.old.with_name(f".{self.old.name}.new")
        fresh.write_bytes(_end_of(self.path, KEPT))
        fresh.chmod(0o600)
        os.truncate(self.path, 0)
        fresh.replace(self.old)
        return True

    def remove(self) -> None:
        """Safe to repeat."""
        self.path.unlink(missing_ok=True)
        self.old.unlink(missing_ok=True)


def _end_of(path: Path, size: int) -> bytes:
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, stream.seek(0, os.SEEK_END) - size))
            return stream.read(size)
    except FileNotFoundError:
        return b""
