"""Empty a service: every base it holds gets another one instead. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

from oio.directory import locations
from oio.directory.mapping.placement import Move, Placement

Choose = Callable[[Placement, Sequence[str]], Sequence[str]]
"""From a placement and the peers that stay: these and the new ones."""


class NoSuccessor(Exception):
    """A replica would be lost, because no service may take it."""


def moves(placement: Placement, service: str, bases: Iterable[str], choose: Choose) -> Iterator[Move]:
    """Moves that take `bases` away from `service`, in their order; each is applied to `placement` when it is taken.

    Raises KeyError for an unknown base, NoSuccessor for one that would be left with fewer replicas. A base that the
    service does not hold is passed over.
    """
    for base in bases:
        peers = placement.peers[base]
        if service not in peers:
            continue
        rest = [peer for peer in peers if peer != service]
        chosen = [key for key in choose(placement, rest) if key not in rest and key != service]
        if not chosen:
            raise NoSuccessor(f"base {base}: {_reason(placement, service, rest)}")
        move = Move(base, service, chosen[0], (*rest, chosen[0]))
        placement.apply(move)
        yield move


def _reason(placement: Placement, service: str, rest: Sequence[str]) -> str:
    others = [one for one in placement.positive() if one.key != service and one.key not in rest]
    if not others:
        return "every service with a score above 0 holds a replica already; add a service first"
    nearest = max(
        min((locations.distance(one.location, placement.location(peer)) for peer in rest), default=0)
        for one in others
    )
    return (
        f"{len(others)} services could take it, but none is {placement.min_dist} levels away from "
        f"{', '.join(sorted(rest)) or 'the others'} (the best is {nearest}); add a service elsewhere or lower min_dist"
    )
