"""Times as people write them in policies."""

from __future__ import annotations

import calendar
import re
import time
from datetime import UTC, datetime

from dynamo.dataformat.exceptions import ConfigurationError

_SECONDS = {"second": 1, "minute": 60, "hour": 3600, "day": 86400, "week": 604800}
_WORDS = {"now": 0, "today": 0, "yesterday": -86400, "tomorrow": 86400}
_RELATIVE = re.compile(r"(\d{1,6}) (second|minute|hour|day|week|month|year)s?( ago)?")
_ABSOLUTE = re.compile(r"(\d{4})-(\d{1,2})-(\d{1,2})(?:[ T](\d{1,2}):(\d{2})(?::(\d{2}))?)?(?: ?(?:UTC|Z))?")


def parse_time(text: str, now: float | None = None) -> int:
    """Unix seconds of a phrase; days without a time begin at midnight UTC.

    Known are ISO dates and times in UTC, `@seconds`, `3 weeks ago`, `now`, `today`, `yesterday`, `tomorrow`.
    Relative phrases count from `now`, by default the present.  Raises ConfigurationError for anything else.
    """
    start = int(time.time() if now is None else now)
    phrase = " ".join(text.strip().strip("\"'").split())
    if phrase.lower() in _WORDS:
        return start + _WORDS[phrase.lower()]
    if re.fullmatch(r"@-?\d{1,15}", phrase):
        return int(phrase[1:])
    relative = _RELATIVE.fullmatch(phrase.lower())
    if relative is not None:
        amount = int(relative[1]) * (-1 if relative[3] else 1)
        unit = relative[2]
        if unit in _SECONDS:
            return start + amount * _SECONDS[unit]
        return _add_months(start, amount * (12 if unit == "year" else 1), text)
    absolute = _ABSOLUTE.fullmatch(phrase)
    if absolute is not None:
        try:
            return int(datetime(*(int(part or 0) for part in absolute.groups()), tzinfo=UTC).timestamp())  # type: ignore[arg-type, misc]  # six numbers
        except ValueError:
            pass
    raise ConfigurationError(
        f"Invalid time expression {text!r}; write a date such as 2018-01-31, @SECONDS, or `3 weeks ago`"
    )


def _add_months(start: int, months: int, text: str) -> int:
    moment = datetime.fromtimestamp(start, UTC)
    total = moment.year * 12 + moment.month - 1 + months
    if not 12 <= total < 9999 * 12:
        raise ConfigurationError(f"Time expression {text!r} lies outside the calendar")
    year, month = divmod(total, 12)
    day = min(moment.day, calendar.monthrange(year, month + 1)[1])
    return int(moment.replace(year=year, month=month + 1, day=day).timestamp())
