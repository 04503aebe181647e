"""What the chain says of a twin that a peer writes to or hears from: its key, its key for encryption, its relays."""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from dataclasses import dataclass
from typing import Final, Protocol

from gridtypes import TwinId
from rmb.errors import BusUnavailable
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


class TwinReads(Protocol):
    """The part of `tfchain.Chain` that is asked."""

    async def twin(self, twin_id: TwinId) -> Twin | None: ...


class TwinCards:
    """Remembers cards for a while: a twin that changes its key is noticed after LIFE seconds, or when told."""

    LIFE: Final = 60.0
    MISS_LIFE: Final = 5.0

    def __init__(self, chain: TwinReads) -> None:
        self._chain = chain
        self._known: OrderedDict[int, tuple[float, TwinCard | None]] = OrderedDict()
        self._asked: dict[int, asyncio.Task[TwinCard | None]] = {}

    async def get(self, twin: int) -> TwinCard | None:
        """The card; None when there is no such twin.  Raises BusUnavailable when the chain cannot be asked."""
        known = self._known.get(twin)
        if known is not None and known[0] > time.monotonic():
            return known[1]
        task = self._asked.get(twin)
        if task is None:
            task = self._asked[twin] = asyncio.create_task(self._ask(twin))
            task.add_done_callback(lambda done: self._answered(twin, done))
        return await asyncio.shield(task)

    def forget(self, twin: int) -> None:
        """Ask the chain again: what was remembered did not fit, or the chain told of a change."""
        self._known.pop(twin, None)

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
        card = None
        if found is not None:
            card = TwinCard(twin, found.account_id, found.pk or None, found.relay or "")
        self._known[twin] = (time.monotonic() + (self.LIFE if card else self.MISS_LIFE), card)
        self._known.move_to_end(twin)
        while len(self._known) > MOST:
            self._known.popitem(last=False)
        return card

    def _answered(self, twin: int, task: asyncio.Task[TwinCard | None]) -> None:
        del self._asked[twin]
        if not task.cancelled():
            task.exception()  # whoever waited has it
