"""Which of several endpoints to use.  Pure."""

from __future__ import annotations

from collections.abc import Sequence

MAX_LAG = 2
"""Blocks that an endpoint may be behind the best known one."""


def lagging(heads: Sequence[int | None]) -> list[bool]:
    """For each endpoint whether it is too far behind the best of them; None is an endpoint that did not answer."""
    best = max((head for head in heads if head is not None), default=0)
    return [head is not None and head < best - MAX_LAG for head in heads]


def order(heads: Sequence[int | None], has_trouble: Sequence[bool]) -> list[int]:
    """Places of endpoints, the one to use first in front.

    The configured order counts; endpoints that lag, then those in trouble, come last.  None is left out: an endpoint
    that lags is better than none.
    """
    behind = lagging(heads)
    return sorted(range(len(heads)), key=lambda place: (has_trouble[place], behind[place], place))
