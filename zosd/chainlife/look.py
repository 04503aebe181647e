"""How the chain is doing, as seen from this node."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from tfchain import Chain, ChainError, ChainUnavailable
from zosd.clock import Clock

LIMIT = 8.0
"""Seconds."""


@dataclass(frozen=True, slots=True)
class ChainSight:
    height: int | None
    """Of the newest block; None when the chain cannot be asked."""
    age: float | None = None
    """Seconds since the newest block."""
    behind: int | None = None
    """Finalised blocks whose events this node has not dealt with."""
    offset: float | None = None
    """The node's clock minus the chain's, seconds; within a block's time of six seconds."""
    problem: str = ""


UNSEEN = ChainSight(None, problem="it was not asked yet")


class ChainLook:
    def __init__(self, chain: Chain, clock: Clock) -> None:
        self._chain = chain
        self._clock = clock
        self.last = UNSEEN
        """The newest look, for figures."""

    async def look(self, cursor: int | None) -> ChainSight:
        """`cursor`: the last block that was dealt with."""
        self.last = await self._look(cursor)
        return self.last

    async def _look(self, cursor: int | None) -> ChainSight:
        try:
            async with asyncio.timeout(LIMIT):
                head = await self._chain.head()
                finalised = await self._chain.finalised_head()
                stamp = await self._chain.now()
        except (TimeoutError, ChainUnavailable, ChainError) as error:
            return ChainSight(None, problem=str(error) or f"no answer within {LIMIT:g} s")
        difference = self._clock.time() - stamp / 1000
        return ChainSight(
            height=head.number,
            age=max(0.0, difference),
            behind=None if cursor is None else max(0, finalised.number - cursor),
            offset=difference,
        )
