"""How old, how new and how long-lived a message may be.  All values are whole Unix seconds."""

from __future__ import annotations

from typing import Final

MAX_AGE: Final = 60
"""A message older than this is refused."""
MAX_AHEAD: Final = 60
"""A message further in the future than this is refused: its replay could not be remembered for long enough."""
DEFAULT_LIFETIME: Final = 3600
"""What `exp` = 0 stands for."""


def lifetime(expiration: int) -> int:
    """Seconds that a message lives; never negative."""
    return DEFAULT_LIFETIME if expiration == 0 else max(0, expiration)


def deadline(now: int, expiration: int) -> int:
    """The second after which a message sent at `now` is expired."""
    return now + lifetime(expiration)


def stamp(now: int, timestamp: int, expiration: int) -> tuple[int, int]:
    """Renew a time stamp without prolonging the life: (timestamp, expiration) as `rmb-rs` computes them."""
    if timestamp == 0 or timestamp > now:
        return now, expiration
    return now, max(0, expiration - (now - timestamp))


def ttl(now: int, timestamp: int, expiration: int) -> int | None:
    """Seconds of life left; None when there are none."""
    left = timestamp + expiration - now
    return left if left > 0 else None


def too_old(now: int, timestamp: int) -> bool:
    return now - timestamp > MAX_AGE


def too_new(now: int, timestamp: int) -> bool:
    return timestamp - now > MAX_AHEAD


def fresh_until(timestamp: int) -> int:
    """The last second at which a message of `timestamp` can be accepted."""
    return timestamp + MAX_AGE


def go_duration(seconds: float) -> str:
    """A span as Go's `time.Duration` prints it, for example `1m5.25s`."""
    nanoseconds = round(seconds * 1_000_000_000)
    sign = "-" if nanoseconds < 0 else ""
    minutes, rest = divmod(abs(nanoseconds), 60_000_000_000)
    hours, minutes = divmod(minutes, 60)
    text = f"{rest / 1_000_000_000:.9f}".rstrip("0").rstrip(".") + "s"
    if hours:
        return f"{sign}{hours}h{minutes}m{text}"
    return f"{sign}{minutes}m{text}" if minutes else sign + text
