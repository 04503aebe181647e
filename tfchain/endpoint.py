"""One endpoint of the chain: its spare connections, what it last said of itself, and when it may be tried again."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from weakref import WeakSet

from tfchain.backoff import Backoff
from tfchain.connection import Connection
from tfchain.errors import ChainError

FIRST_PAUSE = 0.2
LONGEST_PAUSE = 10.0
"""Seconds before an endpoint that failed is tried again."""
SPARE_AGE = 15.0
"""Seconds for which an unused connection is kept: nobody answers a ping on it meanwhile."""
MAX_READS = 8
"""Reads at a time.  Each is a thread with a connection; more of them only wait for each other."""
MAX_WRITES = 64
"""Writes at a time; each needs its connection until its block comes."""


@dataclass(slots=True)
class Endpoint:
    url: str
    head: int | None = None
    """Best block that it showed at the last comparison."""
    trouble: str | None = None
    """Why it cannot be used at the moment."""
    not_before: float = 0.0
    """Monotonic time of the next try."""
    _backoff: Backoff = field(default_factory=lambda: Backoff(FIRST_PAUSE, LONGEST_PAUSE))
    _spare: list[tuple[float, Connection]] = field(default_factory=list)
    _reads: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_READS))
    _writes: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(MAX_WRITES))
    _open: WeakSet[Connection] = field(default_factory=WeakSet)

    @contextlib.asynccontextmanager
    async def connection(self, timeout: float, is_write: bool = False) -> AsyncIterator[Connection]:
        """A connection for one user at a time; waits for its turn; raises `ConnectionLost`."""
        async with self._writes if is_write else self._reads, self._borrowed(timeout) as connection:
            yield connection

    @contextlib.asynccontextmanager
    async def _borrowed(self, timeout: float) -> AsyncIterator[Connection]:
        connection = self._take_spare() or await self.open(timeout)
        is_clean = False
        try:
            yield connection
            is_clean = True
        except ChainError:
            is_clean = True
            raise
        finally:
            # After anything but an answer, one may still be on its way: the next user must not get it.
            if is_clean and connection.is_usable and len(self._spare) < MAX_READS:
                self._spare.append((time.monotonic(), connection))
            else:
                connection.close()

    async def open(self, timeout: float) -> Connection:
        """A connection of one's own, to be closed by the caller; raises `ConnectionLost`."""
        connection = Connection(self.url)
        self._open.add(connection)
        await connection.connect(timeout)
        return connection

    def failed(self, reason: str) -> None:
        """Note that it could not be used; the next try comes after a pause."""
        self.trouble = reason
        self.not_before = time.monotonic() + self._backoff.next()
        self._drop_spare()

    def worked(self) -> None:
        self.trouble = None
        self.not_before = 0.0
        self._backoff.reset()

    def close(self) -> None:
        """End all connections, also those in use."""
        self._drop_spare()
        for connection in tuple(self._open):
            connection.close()

    def _drop_spare(self) -> None:
        while self._spare:
            self._spare.pop()[1].close()

    def _take_spare(self) -> Connection | None:
        while self._spare:
            since, connection = self._spare.pop()
            if connection.is_usable and time.monotonic() - since < SPARE_AGE:
                return connection
            connection.close()
        return None
