"""Twins as a relay needs them: key and relays, remembered, and forgotten when the chain says that they changed."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Protocol

import structlog

from gridtypes import TwinId
from rmb.errors import RmbError
from rmb.lookups import Lookups, TooManyLookups
from rmb.relay.metrics import Metrics
from tfchain import Chain, ChainClosed
from tfchain.errors import ChainError, ChainUnavailable
from tfchain.grid_events import TwinStored, read
from tfchain.models import Twin

log = structlog.get_logger("rmb.relay")

MOST_TWINS = 100_000
MOST_LOOKUPS = 32
MOST_LOOKUPS_WAITING = 4096
LOOKUP_S = 12.0


class TwinsUnavailable(RmbError):
    """The chain cannot be asked now."""


@dataclass(frozen=True, slots=True)
class TwinRecord:
    """What the chain keeps of a twin."""

    public_key: bytes
    relays: tuple[str, ...]
    """Host names in lower case; empty when none is registered."""

    @classmethod
    def of(cls, twin: Twin) -> TwinRecord:
        names = (twin.relay or "").lower().split("_")
        return cls(twin.account_id, tuple(dict.fromkeys(name for name in names if name)))


class TwinReads(Protocol):
    """The part of `tfchain.Chain` that is asked."""

    async def twin(self, twin_id: TwinId) -> Twin | None: ...


class Twins:
    """Remembers twins until the chain tells that they changed."""

    def __init__(self, chain: TwinReads, metrics: Metrics) -> None:
        self._chain = chain
        self._metrics = metrics
        self._lookups = Lookups(
            self._ask, most=MOST_TWINS, at_once=MOST_LOOKUPS, waiting=MOST_LOOKUPS_WAITING
        )

    def known(self, twin: int) -> TwinRecord | None:
        """What is remembered."""
        return self._lookups.known(twin)

    async def get(self, twin: int) -> TwinRecord | None:
        """The twin; None when there is none.  Raises TwinsUnavailable."""
        try:
            return await self._lookups.get(twin)
        except TooManyLookups as problem:
            raise TwinsUnavailable(str(problem)) from problem

    def took(self, twin: Twin) -> None:
        """The chain told of a new or changed twin."""
        if self._lookups.known(twin.id) is not None:
            self._lookups.put(twin.id, TwinRecord.of(twin))

    def forget_all(self) -> None:
        self._lookups.forget_all()
        self._metrics.cache_flushes.inc()

    async def _ask(self, twin: int) -> TwinRecord | None:
        self._metrics.cache_misses.inc()
        self._metrics.cache_entries.set(len(self._lookups))
        try:
            async with asyncio.timeout(LOOKUP_S):
                found = await self._chain.twin(TwinId(twin))
        except TimeoutError as problem:
            raise TwinsUnavailable(f"the chain did not answer within {LOOKUP_S:.0f} s") from problem
        except (ChainUnavailable, ChainError) as problem:
            raise TwinsUnavailable(str(problem)) from problem
        return None if found is None else TwinRecord.of(found)


class _Cursor:
    """Begins at the present block; after a loss of the connection the stream goes on where it was."""

    def __init__(self) -> None:
        self._number: int | None = None

    def load(self) -> int | None:
        return self._number

    def save(self, number: int) -> None:
        self._number = number


async def follow(chain: Chain, twins: Twins, metrics: Metrics) -> None:
    """Take changes of twins from the chain's events, until the client is closed."""
    try:
        async for block in chain.events(_Cursor()):
            if not block.is_complete:
                log.warning("events of a block are lost, all twins are forgotten", block=block.number)
                twins.forget_all()
            for event in block.events:
                match read(event):
                    case TwinStored(twin):  # made or changed
                        twins.took(twin)
            metrics.last_block.set(block.number)
    except ChainClosed:
        return
