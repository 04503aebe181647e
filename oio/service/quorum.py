"""The commit rule. Pure: sets in, a verdict out.

A change is committed when a majority of **every** peer set in force has written it to its log. Two sets are in force
while a change of peers is on its way (the old and the new one), otherwise one. The master counts as a peer like the
others, and only after its own write has reached the disk.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from enum import Enum


class Verdict(Enum):
    """What the answers collected so far mean for a change."""

    WAIT = "wait"
    COMMIT = "commit"
    FAIL = "fail"


def majority(size: int) -> int:
    """How many of `size` peers make a majority."""
    return 1 + size // 2


def reached(acknowledged: Collection[str], configs: Iterable[frozenset[str]]) -> bool:
    """Whether `acknowledged` holds a majority of each of `configs`."""
    have = frozenset(acknowledged)
    return all(len(have & config) >= majority(len(config)) for config in configs)


def decide(
    acknowledged: Collection[str], failed: Collection[str], configs: Iterable[frozenset[str]]
) -> Verdict:
    """COMMIT once every set has its majority, FAIL once one of them cannot have it any more, else WAIT."""
    sets = tuple(configs)
    if reached(acknowledged, sets):
        return Verdict.COMMIT
    lost = frozenset(failed)
    if any(len(config - lost) < majority(len(config)) for config in sets):
        return Verdict.FAIL
    return Verdict.WAIT


def everyone(configs: Iterable[frozenset[str]]) -> frozenset[str]:
    """All peers of all sets in force."""
    return frozenset().union(*configs)
