"""The first mapping of a namespace. Pure and deterministic."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from typing import Final

from oio.directory import locations

LEVELS: Final = ("site", "rack", "host", "volume")


class Unsatisfiable(Exception):
    """There are not enough separate places for the wanted replicas."""


def slices(services: Mapping[str, locations.Complete], level: str) -> list[list[str]]:
    """The services in order of their location, cut where the tokens down to `level` differ; ValueError."""
    if level not in LEVELS:
        raise ValueError(f"level {level!r}: one of {', '.join(LEVELS)} is expected")
    if not services:
        raise ValueError("no meta1 service is registered: nothing can hold a base")
    depth = LEVELS.index(level) + 1
    ordered = sorted(services, key=lambda key: (services[key], key))
    return [list(keys) for _, keys in groupby(ordered, key=lambda key: services[key][:depth])]


def check_degradation(replicas: int, places: int, degradation: int) -> None:
    """Unsatisfiable when losing `degradation` places could cost a base its majority; ValueError below 0."""
    if degradation < 0:
        raise ValueError(f"degradation {degradation}: a number from 0 on is expected")
    worst = -(-replicas // places)
    if replicas - worst * degradation < replicas // 2 + 1:
        raise Unsatisfiable(
            f"Balancing not satisfiable, {replicas} replicas wanted on {places} site(s), "
            f"and an acceptable degradation of {degradation} site(s)."
        )


def assign(bases: Iterable[str], places: Sequence[Sequence[str]], replicas: int) -> dict[str, list[str]]:
    """Base number i goes to the places i, i+1, … and within a place to its services in turn.

    A base that meets a place again takes another service there; when the place has no other, it takes the service of
    any place that has the fewest bases. So a base has `replicas` services, or all there are.
    """
    turns = [0] * len(places)
    counts = {key: 0 for place in places for key in place}
    mapping: dict[str, list[str]] = {}
    for number, base in enumerate(bases):
        peers: list[str] = []
        for step in range(min(replicas, len(counts))):
            place = (number + step) % len(places)
            found = _next(places[place], turns, place, peers)
            if found is None:
                found = min((key for key in counts if key not in peers), key=lambda key: (counts[key], key))
            counts[found] += 1
            peers.append(found)
        mapping[base] = peers
    return mapping


def _next(keys: Sequence[str], turns: list[int], place: int, peers: Sequence[str]) -> str | None:
    for _ in keys:
        key = keys[turns[place] % len(keys)]
        turns[place] += 1
        if key not in peers:
            return key
    return None
