"""Wait for an element of a list longer than a link waits for an answer of Redis."""

from __future__ import annotations

import time

from rmb.redis_link import RedisLink

SLICE_S = 5


async def blocking_pop(link: RedisLink, queue: str, timeout: float, *, command: str = "BRPOP") -> bytes:
    """The element; AssertionError when none comes within so many seconds."""
    end = time.monotonic() + timeout
    while (found := await link.command(command, queue, SLICE_S)) is None:
        assert time.monotonic() < end, f"nothing came on {queue} within {timeout:.0f} s"
    return bytes(found[1])
