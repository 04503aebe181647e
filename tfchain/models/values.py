"""From decoded chain values to Python: texts are bytes on the chain and nobody promises that they are UTF-8."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

Struct: TypeAlias = Mapping[str, Any]
"""A decoded struct, as `tfchain.codec.values` gives it."""


def text(raw: bytes) -> str:
    """Chain bytes as text; what is not UTF-8 is replaced, so that one odd name does not hide everything else."""
    return raw.decode("utf-8", "replace")


def optional_text(raw: bytes | None) -> str | None:
    return None if raw is None else text(raw)


def variant(value: str | Mapping[str, Any]) -> tuple[str, Any]:
    """Name and content of an enum value; content is None for a case without fields."""
    if isinstance(value, str):
        return value, None
    return next(iter(value.items()))
