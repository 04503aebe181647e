"""The `tags` of an envelope: words between commas and white space."""

from __future__ import annotations

import re
from typing import Final

FAIL_FAST: Final = "fail-fast"
"""Asks relays to answer at once when the destination is not connected, instead of storing the message."""

_SEPARATORS: Final = re.compile(r"[,\s]+")


def is_fail_fast(tags: str | None) -> bool:
    return tags is not None and FAIL_FAST in _SEPARATORS.split(tags)
