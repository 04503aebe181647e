"""How much a twin may send: messages and bytes in fixed windows of a minute, all its sessions together."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

WINDOW: Final = 60
"""Seconds."""


@dataclass(frozen=True, slots=True)
class Limit:
    """What one twin may send in one window."""

    count: int
    size: int
    """Bytes; also the most that one message may have."""


@dataclass(slots=True)
class _Used:
    window: int = -1
    count: int = 0
    size: int = 0


class Limiter:
    """Counts what was sent; the least active twins beyond `twins` are forgotten."""

    def __init__(self, limit: Limit, twins: int, window: int = WINDOW) -> None:
        self._limit = limit
        self._twins = twins
        self._window = window
        self._used: OrderedDict[int, _Used] = OrderedDict()

    def allows(self, twin: int, size: int, now: float) -> bool:
        """Count a message of `size` bytes; False when it is too much.  Refused ones count, but for the oversized."""
        if size > self._limit.size:
            return False
        used = self._used.setdefault(twin, _Used())
        self._used.move_to_end(twin)
        while len(self._used) > self._twins:
            self._used.popitem(last=False)
        window = int(now // self._window)
        if used.window != window:
            used.window, used.count, used.size = window, 0, 0
        used.count += 1
        used.size += size
        return used.count <= self._limit.count and used.size <= self._limit.size
