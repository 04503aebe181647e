"""The farmer's wish about the node's power, and the node's own word about it (engine §11)."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from gridtypes import NodeId
from tfchain import Chain, ChainError, ChainUnavailable
from tfchain.keys import Identity
from zosd.clock import Clock

log = structlog.get_logger(__name__)

LOOK_EVERY = 300.0
"""Seconds, should an event be missed."""
COMMAND_LIMIT = 60.0


class Power:
    """Keeps the state on the chain true.  A node that may not be switched off is always up, whatever is wished."""

    def __init__(
        self,
        chain: Chain,
        key: Identity,
        clock: Clock,
        off: tuple[str, ...],
        retry: float,
        report_uptime: Callable[[], Awaitable[None]],
    ) -> None:
        """`off` is the command that switches the machine off; empty where it cannot be woken again."""
        self._chain = chain
        self._key = key
        self._clock = clock
        self._off = off
        self._retry = retry
        self._report_uptime = report_uptime
        self._news = asyncio.Event()

    def look(self) -> None:
        """The wish has changed."""
        self._news.set()

    async def run(self, node: NodeId) -> None:
        while True:
            pause = LOOK_EVERY
            self._news.clear()
            try:
                if await self.settle(node):
                    await self._switch_off()
            except (ChainUnavailable, ChainError) as error:
                log.warning("power state could not be settled, tried again", why=str(error))
                pause = self._retry
            try:
                async with asyncio.timeout(pause):
                    await self._news.wait()
            except TimeoutError:
                continue

    async def settle(self, node: NodeId) -> bool:
        """Bring the state on the chain to what is so; returns whether the machine has to be switched off.

        Raises ChainUnavailable, ChainError.
        """
        power = await self._chain.node_power(node)
        down = bool(self._off) and not power.wanted_up
        if power.is_up is down:
            await self._chain.set_node_power_state(self._key, not down)
            log.info("power state told", up=not down)
        if not power.wanted_up and not self._off:
            log.warning("the farmer wants this node down, but it may not switch itself off")
        return down

    async def _switch_off(self) -> None:
        """The last words first; that they fail keeps nothing up."""
        try:
            await self._report_uptime()
        except (ChainUnavailable, ChainError) as error:
            log.warning("last uptime report failed", why=str(error))
        log.warning("the farmer wants this node down: switching off", command=self._off[0])
        process = await asyncio.create_subprocess_exec(*self._off)
        try:
            async with asyncio.timeout(COMMAND_LIMIT):
                status = await process.wait()
        except TimeoutError:
            process.kill()
            status = await process.wait()
        if status:
            log.error("the machine did not switch off", command=self._off[0], status=status)
