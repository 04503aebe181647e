"""Run blocking work in a thread, and stay until it has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def to_the_end(work: Callable[[], T]) -> T:
    """Like `asyncio.to_thread`, but a cancelled caller leaves only after the thread is through.

    A thread cannot be stopped; a caller that left early would release its lock over work that still goes on.
    """
    task = asyncio.create_task(asyncio.to_thread(work))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # looked at, so that it is not reported as lost
        raise
