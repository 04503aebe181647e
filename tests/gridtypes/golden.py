"""Reading `gridtypes.json`: exact byte strings and errors whose text depends on the Go version."""

from __future__ import annotations

import base64
from typing import Any

from tests.shared import vectors

LOAD_ERROR = "failed to load data into object of type "
GO_TYPE_ERROR = "json: cannot unmarshal "


def section(name: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = vectors("gridtypes")[name]
    return found


def raw(entry: dict[str, Any], key: str) -> bytes:
    """A byte string of the file; what is not UTF-8 is carried in base64 beside it."""
    if entry.get(f"{key}_b64"):
        return base64.b64decode(entry[f"{key}_b64"])
    text: str = entry[key]
    return text.encode()


def has_own_text(entry: dict[str, Any], error: str) -> bool:
    """Undecodable input for which our text says path and value instead of what one Go version says."""
    return bool(entry.get("varies_with_go_version")) or (
        error.startswith(LOAD_ERROR) and "Go struct field" in error
    )


def same_error(entry: dict[str, Any], expected: str, got: Exception) -> None:
    """The text is the same; where it depends on the Go version, the part before it."""
    if not has_own_text(entry, expected):
        assert str(got) == expected
    elif expected.startswith(LOAD_ERROR):
        assert str(got).startswith(expected.partition(GO_TYPE_ERROR)[0])
