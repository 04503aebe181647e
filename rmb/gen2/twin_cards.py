"""What the chain says of a twin that a peer writes to or hears from: its key, its key for encryption, its relays."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Final, Protocol

from gridtypes import TwinId
from rmb.errors import BusUnavailable
from rmb.lookups import Lookups, TooManyLookups
from tfchain.errors import ChainError, ChainUnavailable
from tfchain.models import Twin

LOOKUP_S: Final = 12.0
MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class TwinCard:
    """A twin as far as messages need it."""

    twin: int
    account: bytes
    pk: bytes | None
    """Public key for encryption; None: it wants its messages plain."""
    relays: str
    """Text of the twin's record."""
    asked_at: float = 0.0
    """When the chain said so, on the monotonic clock."""


class TwinReads(Protocol):
    """The part of `tfchain.Chain` that is asked."""

    async def twin(self, twin_id: TwinId) -> Twin | None: ...


class TwinCards:
    """Remembers cards for a while: a twin that changes its key is noticed after LIFE seconds, or when told."""

    LIFE: Final = 60.0
    MISS_LIFE: Final = 5.0
    NEW: Final = 0.5
    """Seconds in which a card is not asked for again: nobody makes us ask the chain with each message."""

    def __init__(self, chain: TwinReads) -> None:
        self._chain = chain
        self._lookups = Lookups(self._ask, most=MOST, life=self.LIFE, miss_life=self.MISS_LIFE)

    async def get(self, twin: int) -> TwinCard | None:
        """The card; None when there is no such twin.  Raises BusUnavailable when the chain cannot be asked."""
        try:
            return await self._lookups.get(twin)
        except TooManyLookups as problem:
            raise BusUnavailable(str(problem)) from problem

    async def newer(self, card: TwinCard) -> TwinCard | None:
        """The card anew, unless it is quite new: for what does not fit to the one that is remembered.

        Raises BusUnavailable.
        """
        if time.monotonic() - card.asked_at > self.NEW:
            self.forget(card.twin)
        return await self.get(card.twin)

    def forget(self, twin: int) -> None:
        """Ask the chain again: what was remembered did not fit, or the chain told of a change."""
        self._lookups.forget(twin)

    async def _ask(self, twin: int) -> TwinCard | None:
        try:
            async with asyncio.timeout(LOOKUP_S):
                found = await self._chain.twin(TwinId(twin))
        except TimeoutError as problem:
            raise BusUnavailable(
                f"the chain did not tell of twin {twin} within {LOOKUP_S:.0f} s"
            ) from problem
        except (ChainUnavailable, ChainError) as problem:
            raise BusUnavailable(f"cannot look up twin {twin}: {problem}") from problem
        if found is None:
            return None
        return TwinCard(twin, found.account_id, found.pk or None, found.relay or "", time.monotonic())
