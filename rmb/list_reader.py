"""Take elements from Redis lists so that a cancelled read loses nothing."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from rmb.redis_link import MAX_BLOCK, RedisLink


class ListReader:
    """Waits on several lists with one connection, oldest element (pushed at the head) first.

    A cancelled BRPOP may have taken an element that nobody sees.  So a running one is never torn down: it is told to
    come back (`CLIENT UNBLOCK`), and what it brings after all is put where it was.
    """

    def __init__(self, link: RedisLink, queues: Sequence[str]) -> None:
        self._control = link
        self._link = link.dedicated()
        self._queues = tuple(queues)

    async def take(self) -> tuple[str, bytes] | None:
        """(list, element), or None when nothing came for MAX_BLOCK seconds.  Raises BusUnavailable."""
        connection = await self._link.command("CLIENT", "ID")
        pop = asyncio.create_task(self._link.command("BRPOP", *self._queues, MAX_BLOCK))
        try:
            found = await asyncio.shield(pop)
        except asyncio.CancelledError:
            await _finish(asyncio.create_task(self._give_back(connection, pop)))
            raise
        return None if found is None else (bytes(found[0]).decode(), bytes(found[1]))

    async def _give_back(self, connection: int, pop: asyncio.Task[Any]) -> None:
        while not pop.done():
            # The pop may not have reached Redis yet, then there is nothing to unblock: ask again.
            await self._control.command("CLIENT", "UNBLOCK", connection)
            await asyncio.wait([pop], timeout=0.05)
        found = await pop
        if found is not None:
            await self._control.command("RPUSH", found[0], found[1])

    async def close(self) -> None:
        await self._link.close()


async def _finish(task: asyncio.Task[None]) -> None:
    """Wait for `task` to its end, whatever cancellations come meanwhile."""
    while not task.done():
        try:
            await asyncio.shield(asyncio.wait([task]))
        except asyncio.CancelledError:
            continue
    task.exception()
