"""Every finalised block, once each, from a place that the caller keeps: nothing is lost over restarts on either side.

Only finalised blocks count, so nothing that was told is taken back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from typing import Any, Protocol

from tfchain.access import REQUEST_TIMEOUT, Access
from tfchain.backoff import Backoff
from tfchain.codec.scale import ScaleError
from tfchain.endpoint import Endpoint
from tfchain.errors import ChainError, ChainUnavailable, ConnectionLost, NotFound
from tfchain.lease import Lease
from tfchain.models.block import FinalisedBlock
from tfchain.runtime import Runtime, Version

STALL = 30.0
"""Seconds without a new finalised block after which another connection is made."""
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
        """Yield blocks for ever, in order; troubles with the chain are waited out and logged.

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
                await self._access.run(lambda lease, into=found: self._read(lease, first, last, into))
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

    async def _read(self, lease: Lease, first: int, last: int, into: list[FinalisedBlock]) -> None:
        into.clear()
        for number in range(first, last + 1):
            block = await lease.block_hash(number)
            events = await _events(self._access, lease, number, block)
            into.append(FinalisedBlock(number, block, events))

    async def _lost(self, number: int, error: ChainError) -> FinalisedBlock | None:
        """The block without its events when no endpoint can give them; None when one may have them still."""
        for endpoint in self._access.endpoints:
            found: list[FinalisedBlock] = []
            try:
                await self._access.run(
                    lambda lease, into=found: self._read(lease, number, number, into),
                    on=endpoint,
                    timeout=5.0,
                )
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
        self._task: asyncio.Task[None] | None = None

    async def beyond(self, number: int | None) -> int:
        """The newest finalised block; waits until there is one after `number`."""
        if self._task is None:
            self._task = asyncio.create_task(self._follow())
        while self._newest < 0 or (number is not None and self._newest <= number):
            self._came.clear()
            await self._came.wait()
        return self._newest

    async def close(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _follow(self) -> None:
        pauses = Backoff(0.2, LONGEST_PAUSE)
        while True:
            began = time.monotonic()
            try:
                await self._access.run(self._subscribe)
            except ChainUnavailable as error:
                log.warning("following finalised blocks: %s", error)
            except ChainError as error:
                log.error("following finalised blocks: %s", error)
            if time.monotonic() - began > LONGEST_PAUSE:
                pauses.reset()
            await asyncio.sleep(pauses.next())
