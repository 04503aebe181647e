"""Every finalised block, once each, from a place that the caller keeps: nothing is lost over restarts on either side.

Only finalised blocks count, so nothing that was told is taken back.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Protocol

from tfchain.access import Access
from tfchain.backoff import Backoff
from tfchain.codec.scale import Reader
from tfchain.errors import ChainClosed, ChainError, ChainUnavailable, NotFound
from tfchain.lease import Lease
from tfchain.models.block import Event, FinalisedBlock

STALL = 15.0
"""Seconds without a new finalised block after which another connection is made; blocks come every six."""
LONGEST_PAUSE = 10.0
BATCH = 32
"""Blocks fetched on one connection before the choice of endpoint is made again."""

log = logging.getLogger(__name__)


class Cursor(Protocol):
    """Where the number of the last processed block is kept, durably."""

    def load(self) -> int | None:
        """None when nothing was processed yet: the stream begins at the present finalised block."""

    def save(self, number: int) -> None:
        """Called once a block was processed, that is when the next one is asked for."""


class Follower:
    """The stream of finalised blocks behind a cursor."""

    def __init__(self, access: Access, cursor: Cursor) -> None:
        self._access = access
        self._cursor = cursor

    async def blocks(self) -> AsyncIterator[FinalisedBlock]:
        """Yield blocks, in order, until the client is closed (`ChainClosed`); troubles are waited out and logged.

        A block counts as processed when the consumer comes back for the next one; after a crash in between it is
        yielded again.
        """
        last = self._cursor.load()
        heads = Heads(self._access)
        try:
            while True:
                newest = await heads.beyond(last)
                if last is None:
                    last = newest - 1
                while last < newest:
                    for block in await self._fetch(last + 1, min(newest, last + BATCH)):
                        yield block
                        self._cursor.save(block.number)
                        last = block.number
        finally:
            await heads.close()

    async def _fetch(self, first: int, last: int) -> list[FinalisedBlock]:
        """Blocks `first` to `last`, or as many from the front as could be had; at least one."""
        pauses = Backoff(0.2, LONGEST_PAUSE)
        while True:
            found: list[FinalisedBlock] = []
            try:
                await self._access.run(partial(self._read, first, last, found))
            except ChainClosed:
                raise
            except ChainUnavailable as error:
                log.warning("waiting for block %d: %s", first + len(found), error)
            except NotFound as error:
                if not found and (lost := await self._lost(first, error)):
                    return [lost]
            except ChainError as error:
                log.error("block %d cannot be read: %s", first + len(found), error)
                if not found and (lost := await self._lost(first, error)):
                    return [lost]
            if found:
                return found
            await asyncio.sleep(pauses.next())

    async def _read(self, first: int, last: int, into: list[FinalisedBlock], lease: Lease) -> None:
        into.clear()
        newest = (await lease.finalised()).number
        if newest < first:
            raise ChainUnavailable(f"{lease.connection.url} has finalised block {newest}, {first} is wanted")
        parent = await lease.block_hash(max(first - 1, 0))
        for number in range(first, min(last, newest) + 1):
            block = await lease.block_hash(number)
            into.append(FinalisedBlock(number, block, await self._events(lease, block, parent)))
            parent = block

    async def _events(self, lease: Lease, block: bytes, parent: bytes) -> tuple[Event, ...]:
        """Events are written by the runtime that executed the block: the one that its parent's state holds."""
        asked = [lease.runtime.storage_key("System", item) for item in ("Events", "LastRuntimeUpgrade")]
        raw, upgrade = await lease.raw_values(asked, block)
        runtime = lease.runtime
        if upgrade is None or Reader(upgrade).compact() != runtime.version.spec:
            # A chain that does not keep its last upgrade, or a block from before it.
            runtime = await self._access.runtime_at(lease.connection, parent)
        return runtime.events(raw)

    async def _lost(self, number: int, error: ChainError) -> FinalisedBlock | None:
        """The block without its events when no endpoint can give them; None when one may have them still."""
        for endpoint in self._access.endpoints:
            found: list[FinalisedBlock] = []
            try:
                await self._access.run_on(endpoint, partial(self._read, number, number, found), 5.0)
            except ChainUnavailable:
                return None
            except ChainError:
                continue
            return found[0]
        try:
            block = await self._access.run(lambda lease: lease.block_hash(number))
        except (NotFound, ChainUnavailable):
            return None
        log.error("the events of block %d are lost, no endpoint keeps them: %s", number, error)
        return FinalisedBlock(number, block, (), is_complete=False)


class Heads:
    """Numbers of finalised blocks as they come, over one subscription that is renewed when it ends or stalls."""

    def __init__(self, access: Access) -> None:
        self._access = access
        self._newest = -1
        self._came = asyncio.Event()
        self._ended: ChainClosed | None = None
        self._task: asyncio.Task[None] | None = None

    async def beyond(self, number: int | None) -> int:
        """The newest finalised block; waits until there is one after `number`."""
        if self._task is None:
            self._task = asyncio.create_task(self._follow())
        while self._newest < 0 or (number is not None and self._newest <= number):
            self._came.clear()
            await self._came.wait()
            if self._ended is not None:
                raise self._ended
        return self._newest

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self) -> None:
        pauses = Backoff(0.2, LONGEST_PAUSE)
        while True:
            before = self._newest
            try:
                await self._subscribe()
            except ChainClosed as error:
                self._ended = error
                self._came.set()
                return
            except ChainUnavailable as error:
                log.warning("following finalised blocks: %s", error)
            except ChainError as error:
                log.error("following finalised blocks: %s", error)
            if self._newest > before:
                pauses.reset()
            await asyncio.sleep(pauses.next())

    async def _subscribe(self) -> None:
        """Follow one endpoint until it fails, stalls, or is no longer the one to use."""
        endpoint, connection = await self._access.dedicated()
        loop = asyncio.get_running_loop()

        def take(header: Any) -> bool:
            try:
                number = int(header["number"], 16)
            except (TypeError, KeyError, ValueError):
                return True
            loop.call_soon_threadsafe(self._take, number, limit)
            return self._access.current is not endpoint

        try:
            async with asyncio.timeout(STALL) as limit:
                await connection.subscribe("chain_subscribeFinalizedHeads", (), take, None)
        except TimeoutError:
            reason = f"{endpoint.url} finalised nothing for {STALL:g} s"
            if len(self._access.endpoints) > 1:
                endpoint.failed(reason)
            raise ChainUnavailable(reason) from None
        finally:
            connection.close()

    def _take(self, number: int, limit: asyncio.Timeout) -> None:
        if number <= self._newest:
            return
        self._newest = number
        self._came.set()
        if not limit.expired():
            with contextlib.suppress(RuntimeError):
                limit.reschedule(asyncio.get_running_loop().time() + STALL)
