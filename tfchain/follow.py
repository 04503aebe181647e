"""Every finalised block, once each, from a place that the caller keeps: nothing is lost over restarts on either side.

Only finalised blocks count, so nothing that was told is taken back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from functools import partial
from typing import Any, Protocol

from tfchain.access import Access
from tfchain.backoff import Backoff
from tfchain.codec.scale import ScaleError
from tfchain.errors import ChainError, ChainUnavailable, NotFound
from tfchain.lease import Lease
from tfchain.models.block import Event, FinalisedBlock
from tfchain.runtime import Version

STALL = 30.0
"""Seconds without a new finalised block after which another connection is made."""
FOREVER = 365 * 86400.0
"""Seconds for which a subscription may last; a dead socket ends it within the connection's own limit of silence."""
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
                await self._access.run(partial(self._read, first, last, found))
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
        for number in range(first, last + 1):
            block = await lease.block_hash(number)
            events = await _events(self._access, lease, number, block)
            into.append(FinalisedBlock(number, block, events))

    async def _lost(self, number: int, error: ChainError) -> FinalisedBlock | None:
        """The block without its events when no endpoint can give them; None when one may have them still."""
        for endpoint in self._access.endpoints:
            found: list[FinalisedBlock] = []
            try:
                await self._access.run(partial(self._read, number, number, found), on=endpoint, timeout=5.0)
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
                await self._access.run(self._subscribe, timeout=FOREVER)
            except ChainUnavailable as error:
                log.warning("following finalised blocks: %s", error)
            except ChainError as error:
                log.error("following finalised blocks: %s", error)
            if time.monotonic() - began > LONGEST_PAUSE:
                pauses.reset()
            await asyncio.sleep(pauses.next())

    async def _subscribe(self, lease: Lease) -> None:
        """Take heads until the subscription ends or nothing new comes for `STALL` seconds."""
        loop = asyncio.get_running_loop()
        last_new = time.monotonic()

        def take(header: Any) -> bool:
            nonlocal last_new
            try:
                number = int(header["number"], 16)
            except (TypeError, KeyError, ValueError):
                return True
            if number > self._newest:
                last_new = time.monotonic()
                loop.call_soon_threadsafe(self._note, number)
            return time.monotonic() - last_new > STALL

        # A number may be older than what was told before, when the endpoint is behind; it is then passed over.
        self._note((await lease.finalised()).number)
        await lease.connection.subscribe("chain_subscribeFinalizedHeads", (), take, None)

    def _note(self, number: int) -> None:
        if number > self._newest:
            self._newest = number
            self._came.set()


async def _events(access: Access, lease: Lease, number: int, block: bytes) -> tuple[Event, ...]:
    """The events of a block, read with the runtime that wrote them: at an upgrade that is not the present one.

    The runtime that a block's events are written with is the one in force at its parent.
    """
    try:
        return await lease.events(block)
    except ScaleError:
        parent = "0x" + (await lease.block_hash(max(number - 1, 0))).hex()
        answer = await lease.request("state_getRuntimeVersion", parent)
        version = Version(int(answer["specVersion"]), int(answer["transactionVersion"]))
        runtime = await access.runtime_of(lease.connection, version, parent)
        return runtime.events(await lease.raw_storage(runtime.storage_key("System", "Events"), block))
