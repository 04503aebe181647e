"""Tables and bars of pages."""

from __future__ import annotations

import html
from collections.abc import Sequence


def bar(part: float, whole: float) -> str:
    """A bar that shows a part of a whole; it is red from nine tenths on."""
    share = min(1.0, part / whole) if whole > 0 else 0.0
    kind = ' class="full"' if share > 0.9 else ""
    return f'<div class="bar"><span{kind} style="width:{share * 100:.1f}%"></span></div>'


def table(heads: list[str], rows: list[list[str]]) -> str:
    """A table of cells that are HTML already."""
    if not rows:
        return '<p class="none">Nothing fits.</p>'
    head = "".join(f"<th>{html.escape(text)}</th>" for text in heads)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>\n" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>\n{body}</tbody></table>"


def stacked_bar(parts: list[int], kinds: Sequence[str]) -> str:
    """A bar of several parts, each with a style sheet's class."""
    whole = sum(parts)
    pieces = "".join(
        f'<span class="{kind}" title="{kind}" style="width:{100 * part / whole:.1f}%"></span>'
        for part, kind in zip(parts, kinds, strict=True)
        if whole > 0
    )
    return f'<div class="bar stacked">{pieces}</div>'
