"""Twins as the chain has them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Final, Protocol, TypeVar

from gridtypes import TwinId
from rmb.peer.directory import DirectoryUnavailable
from tfchain.errors import ChainError, ChainUnavailable
from tfchain.models import Twin

TIMEOUT: Final = 12.0
"""Seconds that the chain may take for one answer."""

Answer = TypeVar("Answer")


class TwinReads(Protocol):
    """The part of `tfchain.Chain` that is needed here."""

    async def twin(self, twin_id: TwinId) -> Twin | None: ...

    async def twin_by_account(self, public_key: bytes) -> TwinId | None: ...


class ChainDirectory:
    """A `TwinDirectory`: one look-up a question, nothing remembered."""

    def __init__(self, chain: TwinReads) -> None:
        self._chain = chain

    async def public_key(self, twin: TwinId) -> bytes | None:
        found = await _answer(self._chain.twin(twin))
        return None if found is None else found.account_id

    async def twin_of(self, public_key: bytes) -> TwinId | None:
        return await _answer(self._chain.twin_by_account(public_key))


async def _answer(question: Awaitable[Answer]) -> Answer:
    try:
        async with asyncio.timeout(TIMEOUT):
            return await question
    except TimeoutError as error:
        raise DirectoryUnavailable(f"the chain did not answer within {TIMEOUT:.0f} s") from error
    except (ChainUnavailable, ChainError) as error:
        # A wrong chain or a refused request says nothing about the twin either.
        raise DirectoryUnavailable(str(error)) from error
