"""One machine's serial console, shared by any number of people.

QEMU serves its console socket to one client at a time.  This is that client: it reads all the time, keeps the end
as history, passes everything on to whoever watches, and writes what they type.  It stays when the machine ends and
is attached to the next one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from provisioners.system.console_log import ConsoleLog

HISTORY = 80_000
"""Bytes that a newcomer is shown (`vm.md` A9)."""
WATCHER_LIMIT = 16
"""People at one console."""
BACKLOG_LIMIT = 1024
"""Chunks that may wait for one watcher; a slower one is dropped, the machine never waits."""
CHUNK = 4096
CONNECT_LIMIT_S = 5.0
ROTATION_STEP = 1024 * 1024
"""Bytes of output after which the log's length is looked at."""


class ConsoleBusy(Exception):
    """There are as many people at this console as it takes."""


class ConsoleClosed(Exception):
    """The machine does not run, so nothing can be typed."""


Backlog = asyncio.Queue[bytes | None]
"""Output for one watcher; None is the end."""


class Console:
    """See the module's text.  `log` is the file that QEMU writes."""

    def __init__(self, log: ConsoleLog) -> None:
        self.log = log
        self._history = bytearray(log.tail(HISTORY))
        self._watchers: set[Backlog] = set()
        self._writer: asyncio.StreamWriter | None = None
        self._reader: asyncio.Task[None] | None = None

    @property
    def history(self) -> bytes:
        return bytes(self._history)

    async def attach(self, socket: Path) -> None:
        """Connect to the console of a machine that runs.  Raises OSError or TimeoutError."""
        await self.detach()
        async with asyncio.timeout(CONNECT_LIMIT_S):
            reader, self._writer = await asyncio.open_unix_connection(str(socket))
        # What was printed while nobody was connected stands in the log alone.
        self._history[:] = self.log.tail(HISTORY)
        self._reader = asyncio.create_task(self._pass_on(reader), name=f"console {socket}")

    async def detach(self) -> None:
        """Let go of the machine; the history and the watchers stay."""
        if self._reader is not None:
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
            self._reader = None
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    async def close(self) -> None:
        """Detach and send every watcher away."""
        await self.detach()
        for backlog in list(self._watchers):
            self._drop(backlog)

    async def type(self, data: bytes) -> None:
        """Write to the serial line, at the speed at which the guest takes it.  Raises ConsoleClosed."""
        if self._writer is None or self._writer.is_closing():
            raise ConsoleClosed("the machine does not run now")
        try:
            self._writer.write(data)
            await self._writer.drain()
        except OSError as error:
            raise ConsoleClosed("the machine has just ended") from error

    @asynccontextmanager
    async def watch(self) -> AsyncIterator[Backlog]:
        """A queue with the history and then everything that is printed.  Raises ConsoleBusy."""
        if len(self._watchers) >= WATCHER_LIMIT:
            raise ConsoleBusy(f"{WATCHER_LIMIT} people are at this console; close one of them")
        backlog: Backlog = asyncio.Queue(BACKLOG_LIMIT)
        if self._history:
            backlog.put_nowait(self.history)
        self._watchers.add(backlog)
        try:
            yield backlog
        finally:
            self._watchers.discard(backlog)

    async def _pass_on(self, reader: asyncio.StreamReader) -> None:
        since_rotation = ROTATION_STEP
        try:
            while chunk := await reader.read(CHUNK):
                self._history += chunk
                del self._history[:-HISTORY]
                for backlog in list(self._watchers):
                    if backlog.full():
                        self._drop(backlog)
                    else:
                        backlog.put_nowait(chunk)
                since_rotation += len(chunk)
                if since_rotation >= ROTATION_STEP:
                    since_rotation = 0
                    await asyncio.to_thread(self.log.rotate)
        except OSError:
            pass  # QEMU ended

    def _drop(self, backlog: Backlog) -> None:
        self._watchers.discard(backlog)
        while backlog.full():
            backlog.get_nowait()
        backlog.put_nowait(None)
