"""Answers about twins, remembered for a while; questions about the same twin share one look-up."""

from __future__ import annotations

import asyncio
import math
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from rmb.errors import RmbError

Answer = TypeVar("Answer")


class TooManyLookups(RmbError):
    """So many look-ups wait already that another would wait too long."""


class Lookups(Generic[Answer]):
    """A bounded memory in front of a slow source.

    A flood of questions about made-up twins is no flood of look-ups: few run at once, few more wait, and "there is
    none" is remembered for a moment too.
    """

    def __init__(
        self,
        ask: Callable[[int], Awaitable[Answer | None]],
        *,
        most: int,
        life: float = math.inf,
        miss_life: float = 0.0,
        at_once: int = 10,
        waiting: int = 500,
    ) -> None:
        """`ask` answers about one twin, None for none; `life` and `miss_life` are seconds."""
        self._ask = ask
        self._most = most
        self._life = life
        self._miss_life = miss_life
        self._waiting = waiting
        self._slots = asyncio.Semaphore(at_once)
        self._known: OrderedDict[int, tuple[float, Answer | None]] = OrderedDict()
        self._asked: dict[int, asyncio.Task[Answer | None]] = {}

    def __len__(self) -> int:
        return len(self._known)

    def known(self, twin: int) -> Answer | None:
        """What is remembered and still good."""
        found = self._known.get(twin)
        return found[1] if found is not None and found[0] > time.monotonic() else None

    async def get(self, twin: int) -> Answer | None:
        """The answer, remembered or asked.  Raises TooManyLookups, and what the source raises."""
        found = self._known.get(twin)
        if found is not None and found[0] > time.monotonic():
            self._known.move_to_end(twin)
            return found[1]
        task = self._asked.get(twin)
        if task is None:
            if len(self._asked) >= self._waiting:
                raise TooManyLookups(f"{self._waiting} look-ups of twins are waiting already")
            task = self._asked[twin] = asyncio.create_task(self._look_up(twin))
            task.add_done_callback(lambda done: self._answered(twin, done))
        return await asyncio.shield(task)

    def put(self, twin: int, answer: Answer | None) -> None:
        """Remember an answer."""
        life = self._miss_life if answer is None else self._life
        self._known[twin] = (time.monotonic() + life, answer)
        self._known.move_to_end(twin)
        while len(self._known) > self._most:
            self._known.popitem(last=False)

    def forget(self, twin: int) -> None:
        """Ask again next time."""
        self._known.pop(twin, None)

    def forget_all(self) -> None:
        self._known.clear()

    async def _look_up(self, twin: int) -> Answer | None:
        async with self._slots:
            answer = await self._ask(twin)
        self.put(twin, answer)
        return answer

    def _answered(self, twin: int, task: asyncio.Task[Answer | None]) -> None:
        del self._asked[twin]
        if not task.cancelled():
            task.exception()  # whoever waited has it; when nobody did any more, it is no news
