"""Times in words."""

from __future__ import annotations

import time


def iso_time(seconds: int) -> str:
    """Like `2018-01-31T12:00:00 UTC`, as requests and activity locks have it."""
    return time.strftime("%Y-%m-%dT%H:%M:%S UTC", time.gmtime(seconds))


def spaced_time(seconds: int) -> str:
    """Like `2018-01-31 12:00:00 UTC`, as deletion locks and pages have it."""
    return time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(seconds))
