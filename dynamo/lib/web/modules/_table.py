"""Tables and bars of pages."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence

_NUMBER = re.compile(r"(-?[0-9][0-9.,]*( ?%| s ago| [kMGTP]?B)?|none|unlimited)?")
_GOOD = ("online", "done", "ready")
_BAD = ("silent", "outofsync", "error", "failed", "authfailed", "killed", "notfound", "morgue")


def bar(part: float, whole: float) -> str:
    """A bar that shows a part of a whole; it is red from nine tenths on."""
    share = min(1.0, part / whole) if whole > 0 else 0.0
    kind = ' class="full"' if share > 0.9 else ""
    return f'<div class="bar"><span{kind} style="width:{share * 100:.1f}%"></span></div>'


def table(heads: list[str], rows: list[list[str]], empty: str = "Nothing fits.") -> str:
    """A table of cells that are HTML already; columns of numbers stand on the right.  `empty` is said without rows."""
    if not rows:
        return f'<p class="none">{html.escape(empty)}</p>'
    kinds = [
        ' class="number"' if any(column) and all(_NUMBER.fullmatch(cell) for cell in column) else ""
        for column in zip(*rows, strict=True)
    ]
    head = "".join(f"<th{kind}>{html.escape(text)}</th>" for text, kind in zip(heads, kinds, strict=True))
    body = "".join(
        "<tr>" + "".join(f"<td{kind}>{cell}</td>" for cell, kind in zip(row, kinds, strict=True)) + "</tr>\n"
        for row in rows
    )
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>"


def status_word(status: str) -> str:
    """A status, green where all is well and red where somebody has to look."""
    kind = "good" if status in _GOOD else "bad" if status in _BAD else ""
    return f'<span class="{kind}">{html.escape(status)}</span>' if kind else html.escape(status)


def stacked_bar(parts: list[int], kinds: Sequence[str]) -> str:
    """A bar of several parts, each with a style sheet's class."""
    whole = sum(parts)
    pieces = "".join(
        f'<span class="{kind}" title="{kind}" style="width:{100 * part / whole:.1f}%"></span>'
        for part, kind in zip(parts, kinds, strict=True)
        if whole > 0
    )
    return f'<div class="bar stacked">{pieces}</div>'
