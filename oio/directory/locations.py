"""Where services stand: dotted locations, most general token first, and how far apart two of them are. Pure."""

from __future__ import annotations

from typing import Final

MAX_TOKENS: Final = 4
"""`site.rack.host.volume`."""
Complete = tuple[tuple[bool, str], ...]


def distance(one: str, other: str) -> int:
    """Levels between two locations: 0 for the same, 4 for different sites of complete locations."""
    ours, theirs = one.split(".", MAX_TOKENS - 1), other.split(".", MAX_TOKENS - 1)
    equal = 0
    for left, right in zip(ours, theirs, strict=False):
        if left != right:
            break
        equal += 1
    return max(len(ours), len(theirs)) - equal


def group(location: str, min_dist: int) -> str:
    """The location with its last `min_dist - 1` tokens replaced by `*`; the first token always stays.

    Two services of one group are closer than `min_dist` to each other.
    """
    tokens = location.split(".")
    hidden = min(min_dist - 1, len(tokens) - 1)
    return ".".join(tokens[: len(tokens) - hidden] + ["*"] * hidden)


def complete(location: str) -> Complete | None:
    """Four sortable tokens, filled up on the left with missing ones, which sort before any text.

    None when there are more than four tokens.
    """
    tokens = location.split(".")
    if len(tokens) > MAX_TOKENS:
        return None
    return ((False, ""),) * (MAX_TOKENS - len(tokens)) + tuple((True, token) for token in tokens)
