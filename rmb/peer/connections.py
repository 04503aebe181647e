"""Bound how many connections others hold open to us, and for how long."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Final

import structlog
from aiohttp import web

log = structlog.get_logger("rmb.peer")

MAX_LIFE: Final = 60.0
"""Seconds; far more than any request takes, so that only idle and trickling connections are cut."""
PERIOD: Final = 1.0


async def bound(runner: web.AppRunner, limit: int, max_life: float = MAX_LIFE) -> None:
    """Cut connections that are older than `max_life`, and the oldest when there are more than `limit`; for ever.

    aiohttp itself waits without a limit for the first request of a connection.
    """
    since: dict[Any, float] = {}
    while True:
        now = time.monotonic()
        connections = runner.server.connections if runner.server is not None else []
        since = {one: since.get(one, now) for one in connections}
        oldest_first = sorted(since, key=since.__getitem__)
        too_many = max(0, len(oldest_first) - limit)
        for position, one in enumerate(oldest_first):
            if position < too_many or now - since[one] > max_life:
                one.force_close()
        if too_many:
            log.warning("cut connections", count=too_many, limit=limit)
        await asyncio.sleep(PERIOD)
