"""Until when the request in hand may take. It goes with every call to another service, so that nobody works on for a
client that has given up.

The deadline belongs to the context: tasks that a request starts inherit it. What is not this request's alone, like
becoming master or settling a change that is in a log already, gets the time it needs (`at_least`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

from oio.service import status
from oio.service.status import ServiceError

HEADER: Final = "x-oio-timeout"
"""Carries what is left, in microseconds."""
SHARE: Final = 0.95
"""What a service uses of the time it was given, and gives to the next one: answers must come in time to be heard."""
_MAX_DIGITS: Final = 15

_deadline: ContextVar[float | None] = ContextVar("deadline", default=None)


def left(limit: float) -> float:
    """Seconds that something may take: `limit`, or less if the request ends before; ServiceError 504 when it has."""
    end = _deadline.get()
    if end is None:
        return limit
    seconds = end - time.monotonic()
    if seconds <= 0:
        raise ServiceError(status.GATEWAY_TIMEOUT, "the request's time has run out")
    return min(limit, seconds)


def check() -> None:
    """ServiceError 504 when the request's time has run out."""
    left(0.0)


def header() -> dict[str, str]:
    """What tells the next service how long it may take; nothing without a deadline. ServiceError 504."""
    if _deadline.get() is None:
        return {}
    return {HEADER: str(int(left(float("inf")) * SHARE * 1e6))}


def told(text: str) -> float | None:
    """Seconds in a header; None when there are none or they are no number."""
    return int(text) / 1e6 if text.isascii() and text.isdigit() and len(text) <= _MAX_DIGITS else None


@contextmanager
def within(seconds: float | None) -> Iterator[None]:
    """While this lasts there are so many seconds; None: no end."""
    before = _deadline.set(None if seconds is None else time.monotonic() + seconds)
    try:
        yield
    finally:
        _deadline.reset(before)


@contextmanager
def at_least(seconds: float) -> Iterator[None]:
    """While this lasts there are so many seconds, or more where the request has more."""
    end = _deadline.get()
    if end is None:
        yield
        return
    with within(max(seconds, end - time.monotonic())):
        yield
