"""The chain as the other rooms use it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

from tfchain.access import Access
from tfchain.follow import Cursor, Follower
from tfchain.models import FinalisedBlock
from tfchain.terms import Terms
from tfchain.writes import Writes

READ_TIMEOUT = 30.0
"""Seconds that a read may take over all endpoints."""


class Chain(Writes, Terms):
    """A client of the chain behind one or several endpoints (`ws://` or `wss://` URLs).

    Nothing is connected before it is asked for.  Endpoints that fail, lag or serve another chain are passed over;
    `genesis` (a hash) says which chain is meant, else the first endpoint that answers decides.  Use it as an
    asynchronous context manager, or call `close`.
    """

    def __init__(
        self, urls: Sequence[str], *, genesis: bytes | None = None, timeout: float = READ_TIMEOUT
    ) -> None:
        self._access = Access(urls, genesis, timeout)
        self._turns: dict[bytes, asyncio.Lock] = {}

    async def events(self, cursor: Cursor) -> AsyncIterator[FinalisedBlock]:
        """Every finalised block with its events, in order, from where `cursor` stands; see `Follower.blocks`."""
        async for block in Follower(self._access, cursor).blocks():
            yield block

    async def close(self) -> None:
        await self._access.close()

    async def __aenter__(self) -> Chain:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()
