"""Growing pauses between attempts."""

from __future__ import annotations

import asyncio
import random


class Pause:
    """Waits `first` seconds, then twice as long each time up to `longest`, each time a random half of it less."""

    def __init__(self, first: float = 0.1, longest: float = 5.0) -> None:
        self._first = first
        self._longest = longest
        self._next = first

    def reset(self) -> None:
        self._next = self._first

    async def wait(self) -> None:
        await asyncio.sleep(self._next * random.uniform(0.5, 1.0))
        self._next = min(self._next * 2, self._longest)
