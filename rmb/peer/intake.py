"""Take messages from a list of local programs without ever losing one.

An element is moved, atomically, to a second list ("taken") and leaves it only when it has been dealt with.  What is
found there at start, or after trouble with Redis, is dealt with first.  Elements are moved as soon as they come, so
they are worked on in the order of arrival at whichever end a client pushes (decision 21).
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Final, Literal

import structlog

from rmb import queues
from rmb.errors import BusUnavailable
from rmb.pause import Pause
from rmb.redis_link import MAX_BLOCK, RedisLink

log = structlog.get_logger("rmb.peer")

MAX_IN_FLIGHT: Final = 4096
DRAIN: Final = 2.0
"""Seconds that messages in work get when the peer stops; the others are found in the taken list."""


class Intake:
    """Feeds `process` with the elements of `queue`; `end` is the end that the oldest element has."""

    def __init__(
        self,
        link: RedisLink,
        queue: str,
        end: Literal["LEFT", "RIGHT"],
        process: Callable[[bytes], Awaitable[None]],
    ) -> None:
        self._link = link
        self._blocking = link.dedicated()
        self._queue = queue
        self._taken = queues.taken(queue)
        self._end = end
        self._process = process
        self._slots = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._in_work: Counter[bytes] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Work until cancelled."""
        pause = Pause()
        try:
            while True:
                try:
                    await self._resume()
                    pause.reset()
                    while True:
                        await self._next()
                except BusUnavailable as error:
                    log.warning("waiting for Redis", queue=self._queue, reason=str(error))
                    await pause.wait()
        finally:
            if self._tasks:
                await asyncio.wait(set(self._tasks), timeout=DRAIN)
            for task in set(self._tasks):
                task.cancel()
            await asyncio.gather(*self._tasks, return_exceptions=True)
            await self._blocking.close()

    async def _resume(self) -> None:
        """Start what lies in the taken list and is not in work: an earlier process or connection left it there."""
        found = Counter(bytes(raw) for raw in await self._link.command("LRANGE", self._taken, 0, -1))
        for raw in (found - self._in_work).elements():
            await self._slots.acquire()
            self._start(raw)

    async def _next(self) -> None:
        await self._slots.acquire()
        started = False
        try:
            raw = await self._blocking.command(
                "BLMOVE", self._queue, self._taken, self._end, "RIGHT", MAX_BLOCK
            )
            if raw is not None:
                self._start(bytes(raw))
                started = True
        finally:
            if not started:
                self._slots.release()

    def _start(self, raw: bytes) -> None:
        self._in_work[raw] += 1
        task = asyncio.create_task(self._work(raw))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, raw: bytes) -> None:
        try:
            await self._attempt(raw)
        finally:
            self._in_work[raw] -= 1
            if not self._in_work[raw]:
                del self._in_work[raw]
            self._slots.release()

    async def _attempt(self, raw: bytes) -> None:
        pause = Pause()
        while True:
            try:
                try:
                    await self._process(raw)
                except BusUnavailable:
                    raise
                except Exception as error:
                    # Kept, it would fail again at every start.
                    log.error(
                        "dropped a message that could not be dealt with", queue=self._queue, exc_info=error
                    )
                await self._link.command("LREM", self._taken, 1, raw)
                return
            except BusUnavailable as error:
                log.warning("waiting for Redis", queue=self._queue, reason=str(error))
                await pause.wait()
