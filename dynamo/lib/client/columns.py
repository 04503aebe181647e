"""Rows as people read them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def in_columns(rows: Sequence[dict[str, Any]]) -> list[str]:
    """A line for the names and one for every row, in columns; nothing without rows."""
    if not rows:
        return []
    names = list(rows[0])
    widths = [max(len(name), *(len(str(row[name])) for row in rows)) for name in names]
    lines = (names, *([str(row[name]) for name in names] for row in rows))
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()
        for cells in lines
    ]
