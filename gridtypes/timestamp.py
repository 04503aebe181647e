"""Unix seconds from an integer or from RFC 3339 text, with the leniency of Go's parser."""

from __future__ import annotations

import calendar
import re

UNKNOWN_FORMAT = "unknown timestamp format, expecting a timestamp or an ISO-8601 date"

_INTEGER = re.compile(r"-?[0-9]+")
_TIME = re.compile(
    r'"(?P<year>[0-9]{4})-(?P<month>[0-9]{2})-(?P<day>[0-9]{2})'
    r"T(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2}):(?P<second>[0-9]{2})(?:[.,][0-9]+)?"
    r'(?:Z|(?P<sign>[+-])(?P<zone_hour>[0-9]{2}):(?P<zone_minute>[0-9]{2}))"'
)


def parse_timestamp(token: str) -> int:
    """`token` is the JSON text of the value, quotes included.  Raises ValueError with Go's text."""
    if _INTEGER.fullmatch(token):
        value = int(token) if len(token) <= 20 else 1 << 63
        if -(1 << 63) <= value < 1 << 63:
            return value
        raise ValueError(UNKNOWN_FORMAT)
    found = _TIME.fullmatch(token)
    if found is None:
        raise ValueError(UNKNOWN_FORMAT)
    year, month, day, hour, minute, second = (
        int(found[part]) for part in ("year", "month", "day", "hour", "minute", "second")
    )
    zone_hour, zone_minute = int(found["zone_hour"] or 0), int(found["zone_minute"] or 0)
    if (
        not 1 <= month <= 12
        or not 1 <= day <= _days(year, month)
        or hour > 23
        or minute > 59
        or second > 59
        or zone_hour > 24
        or zone_minute > 60
    ):
        raise ValueError(UNKNOWN_FORMAT)
    offset = (zone_hour * 60 + zone_minute) * 60
    seconds = _days_since_1970(year, month, day) * 86400 + hour * 3600 + minute * 60 + second
    return seconds + offset if found["sign"] == "-" else seconds - offset


def _days(year: int, month: int) -> int:
    if month == 2:
        return 29 if calendar.isleap(year) else 28
    return 30 if month in (4, 6, 9, 11) else 31


def _days_since_1970(year: int, month: int, day: int) -> int:
    """Works for year 0, which `datetime` does not know.  Counts from March so that the leap day comes last."""
    if month <= 2:
        year -= 1
    shifted = (month - 3) % 12
    return 365 * year + year // 4 - year // 100 + year // 400 + (153 * shifted + 2) // 5 + day - 1 - 719468
