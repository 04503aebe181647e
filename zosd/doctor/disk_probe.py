"""Whether a disk can be written durably, and how fast: a small file is written, synchronised and removed.

A disk that hangs holds whoever writes to it, so each folder has a thread of its own for it, and never more than one.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import threading
import time
from dataclasses import dataclass
from pathlib import Path

LIMIT = 10.0
"""Seconds that a look may take; after it the disk counts as hanging."""
PROBE = ".doctor"


@dataclass(frozen=True, slots=True)
class DiskLook:
    free: int
    """Bytes left on the file system."""
    sync_s: float | None
    """Seconds for a durable small write; None when it did not come to its end."""
    problem: str = ""
    """Why it cannot be written."""


class DiskProbe:
    def __init__(self, folder: Path, every: float = 0.0, limit: float = LIMIT) -> None:
        """`every`: seconds for which a good look is remembered; `limit`: seconds that one may take."""
        self._folder = folder
        self._every = every
        self._limit = limit
        self._last: DiskLook | None = None
        self._looked = 0.0
        self._running: asyncio.Future[DiskLook] | None = None
        self._began = 0.0

    async def look(self) -> DiskLook:
        """Write once; while an earlier write has not come back, that one is waited for."""
        if (
            self._last is not None
            and not self._last.problem
            and time.monotonic() < self._looked + self._every
        ):
            return self._last
        if self._running is None:
            self._running, self._began = self._start(), time.monotonic()
        done, _ = await asyncio.wait({self._running}, timeout=self._limit)
        if not done:
            return DiskLook(0, None, f"a write hangs since {time.monotonic() - self._began:.0f} s")
        self._last, self._looked, self._running = self._running.result(), time.monotonic(), None
        return self._last

    def _start(self) -> asyncio.Future[DiskLook]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[DiskLook] = loop.create_future()

        def told(found: DiskLook) -> None:
            if not future.done():
                future.set_result(found)

        def work() -> None:
            found = written(self._folder)
            try:
                loop.call_soon_threadsafe(told, found)
            except RuntimeError:
                return  # the daemon ended meanwhile

        # A daemon thread: one that hangs must not keep the process from ending.
        threading.Thread(target=work, name=f"probe {self._folder}", daemon=True).start()
        return future


def written(folder: Path) -> DiskLook:
    """Write there now.  Blocking."""
    try:
        free = shutil.disk_usage(folder).free
    except OSError as error:
        return DiskLook(0, None, error.strerror or str(error))
    file = folder / PROBE
    began = time.monotonic()
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, b"doctor\n" * 64)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
            file.unlink(missing_ok=True)
    except OSError as error:
        return DiskLook(free, None, error.strerror or str(error))
    return DiskLook(free, time.monotonic() - began)
