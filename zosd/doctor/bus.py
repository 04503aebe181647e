"""Whether the local Redis, over which the bus is served, answers."""

from __future__ import annotations

import asyncio

from rmb.errors import RmbError
from rmb.redis_link import RedisAddress, RedisLink

LIMIT = 3.0
"""Seconds."""


async def bus_problem(redis: str) -> str:
    """Why it does not answer; "" when it does."""
    link = RedisLink(RedisAddress.parse(redis))
    try:
        async with asyncio.timeout(LIMIT):
            await link.command("PING")
    except TimeoutError:
        return f"no answer within {LIMIT:g} s"
    except (RmbError, OSError) as error:
        return str(error)
    finally:
        await link.close()
    return ""
