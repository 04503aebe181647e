"""Which identity a node takes when its disks agree, disagree, or have none.  Pure.

A new identity costs the farmer everything that the old one earned, so one is made only where no disk shows a trace of
another; whatever cannot be read is kept and stops the node, on whose screen it is said.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from images.boot.seed import Entropy, SeedError, decode, tag


class Verdict(StrEnum):
    USE = "use"
    NEW = "new"
    CONFLICT = "conflict"
    """Two identities on one machine's disks: it belongs to nobody until one of them is taken out."""
    DAMAGED = "damaged"
    """Only unreadable ones: none is made anew."""
    NO_DISK = "no disk"


@dataclass(frozen=True, slots=True)
class Choice:
    verdict: Verdict
    seed: bytes | None = None
    source: str = ""
    """Place that it was read from."""
    restore: tuple[str, ...] = ()
    """Places that lack the identity and get a copy."""
    set_aside: tuple[str, ...] = ()
    """Places whose unreadable file is renamed, never deleted."""
    message: str = ""
    """For the screen."""


def choose(places: Mapping[str, bytes | None], entropy: Entropy, expected: Sequence[str] = ()) -> Choice:
    """Decide over what lies at each place, the cache first, then the pools; None is a missing file.

    `expected` are disks that should be pools but are damaged: as long as one could hold the identity, none is made.
    """
    if not places:
        return Choice(
            Verdict.NO_DISK, message="no usable disk: the node has no identity and does not register"
        )
    good: dict[str, bytes] = {}
    bad: list[str] = []
    for place, content in places.items():
        if content is None or content == b"":
            continue
        try:
            good[place] = decode(content, entropy)
        except SeedError:
            bad.append(place)
    empty = [place for place, content in places.items() if content is None or content == b""]
    if len(set(good.values())) > 1:
        shown = ", ".join(f"{place} carries {tag(seed)}" for place, seed in good.items())
        return Choice(
            Verdict.CONFLICT,
            message=f"two identities on this machine's disks: {shown}. Take the disks of one of them out",
        )
    if good:
        source, seed = next(iter(good.items()))
        return Choice(Verdict.USE, seed, source, (*empty, *bad), tuple(bad), _used(source, empty, bad))
    if bad:
        return Choice(
            Verdict.DAMAGED,
            message=f"the identity on {', '.join(bad)} cannot be read and is kept: no new one is made. "
            "Put a disk of this node back that has a copy, or wipe the disks to begin as a new node",
        )
    if expected:
        return Choice(
            Verdict.DAMAGED,
            message=f"{', '.join(expected)} may hold this node's identity and cannot be read: no new one is made. "
            "Repair or remove the disk",
        )
    return Choice(Verdict.NEW, restore=tuple(empty), message="a new identity, kept on every pool")


def _used(source: str, empty: Sequence[str], bad: Sequence[str]) -> str:
    text = f"identity from {source}"
    if empty:
        text += f", copy restored to {', '.join(empty)}"
    if bad:
        text += f"; damaged file on {', '.join(bad)} renamed aside"
    return text
