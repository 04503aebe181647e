"""Time and chance as the daemon sees them, so that tests can drive both."""

from __future__ import annotations

import asyncio
import random
import time
from typing import Protocol


class Clock(Protocol):
    def time(self) -> float:
        """Seconds since 1970, for what people and the chain read."""
        ...

    def monotonic(self) -> float:
        """Seconds that never jump, for deadlines."""
        ...

    async def sleep(self, seconds: float) -> None: ...

    def jitter(self) -> float:
        """A random number in [0, 1)."""
        ...


class SystemClock:
    """The machine's own clock."""

    def time(self) -> float:
        return time.time()

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    def jitter(self) -> float:
        return random.random()
