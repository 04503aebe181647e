"""Which services get the missing replicas of a base. Pure, and the same for the same mapping."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from oio.directory.mapping.placement import Candidate, Placement


def fewest_bases(placement: Placement, known: Iterable[str], min_score: int = 1) -> list[str]:
    """`known` and the services with the fewest bases, ties by address, until there are enough; maybe fewer."""
    candidates = [one for one in placement.candidates.values() if one.score >= min_score]
    candidates.sort(key=lambda one: (len(placement.held[one.key]), one.key))
    return _taken(placement, known, candidates)


def most_room(
    placement: Placement, known: Iterable[str], limits: Mapping[str, int], min_score: int = 1
) -> list[str]:
    """`known` and the services that are farthest below their limit, ties by address."""
    candidates = [one for one in placement.candidates.values() if one.score >= min_score]
    candidates.sort(key=lambda one: (len(placement.held[one.key]) - limits.get(one.key, 0), one.key))
    return _taken(placement, known, candidates)


def _taken(placement: Placement, known: Iterable[str], candidates: Iterable[Candidate]) -> list[str]:
    taken = list(known)
    for one in candidates:
        if len(taken) >= placement.replicas:
            break
        if one.key not in taken and placement.far_enough(one.key, taken):
            taken.append(one.key)
    return taken
