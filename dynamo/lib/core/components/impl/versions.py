"""Software versions of datasets as texts of a table."""

from __future__ import annotations

import json
from collections.abc import Hashable
from typing import Any


def version_text(version: Hashable) -> str:
    """The text of a version.

    Tables that people have hold the one value of a tuple; longer tuples are JSON lists, other values JSON objects.
    """
    if not isinstance(version, tuple):
        return json.dumps({"value": version}, sort_keys=True)
    if len(version) == 1 and isinstance(version[0], int | str):
        return json.dumps(version[0])
    return json.dumps(version)


def version_value(text: str) -> Hashable:
    """The version of a text."""
    try:
        value = json.loads(text)
    except ValueError:
        return (text,)
    if isinstance(value, dict):
        return _tuples(value.get("value"))
    found = _tuples(value)
    return found if isinstance(found, tuple) else (found,)


def _tuples(value: Any) -> Hashable:
    if isinstance(value, list):
        return tuple(_tuples(item) for item in value)
    return value if isinstance(value, int | str | float | None) else str(value)
