"""Even out a mapping: no service above its limit, no two replicas of a base in one location group. Pure.

A base moves at most one replica in one run, so that a majority of its peers never changes at once. Nothing is left to
chance: a plan can be shown first and carried out later.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from oio.directory import locations
from oio.directory.mapping.placement import Move, Placement, replaced

MAX_RUNS: Final = 16


@dataclass(frozen=True, slots=True)
class Plan:
    """Moves of one run, the placement after it, and how many runs more would still improve it."""

    moves: tuple[Move, ...]
    after: Placement
    further_runs: int


def plan(placement: Placement, max_loops: int) -> Plan:
    """The moves of one run, at most `max_loops`; ValueError when there are fewer location groups than replicas."""
    moves, after = one_run(placement, max_loops)
    further, now = 0, after
    while moves and further < MAX_RUNS:
        more, now = one_run(now, max_loops)
        if not more:
            break
        further += 1
    return Plan(tuple(moves), after, further)


def one_run(placement: Placement, max_loops: int) -> tuple[list[Move], Placement]:
    """Moves of one run and the placement after it."""
    run = _Run(placement.copy(), placement.upper_limits(), max_loops)
    run.separate()
    run.level()
    return run.moves, run.placement


class _Run:
    """One run: what was moved, and how far each pair of services has been searched."""

    def __init__(self, placement: Placement, limits: Mapping[str, int], max_loops: int) -> None:
        self.placement = placement
        self.limits = limits
        self.left = max_loops
        self.moves: list[Move] = []
        self.moved: set[str] = set()
        self._searched: dict[tuple[str, str], int] = {}
        # A base that moved never moves again in this run, so what a service held at first is all it may give.
        self._held = {key: sorted(bases) for key, bases in placement.held.items()}
        self._distances: dict[tuple[str, str], int] = {}

    def excess(self, key: str) -> int:
        """Bases above the limit of a service; negative: room."""
        return len(self.placement.held[key]) - self.limits.get(key, 0)

    def separate(self) -> None:
        """Take one replica off each base that has two of them in one group."""
        for base in sorted(self.placement.peers):
            if self.left and self.placement.shares_a_group(base):
                self._separate(base)

    def _separate(self, base: str) -> None:
        peers = self.placement.peers[base]
        names = [locations.group(self.placement.location(peer), self.placement.min_dist) for peer in peers]
        sharing = [peer for peer, name in zip(peers, names, strict=True) if names.count(name) > 1]
        for source in sorted(sharing, key=lambda key: (-self.excess(key), key)):
            rest = [peer for peer in peers if peer != source]
            for target in self._by_room():
                if target not in peers and self._apart(target, rest):
                    self._move(base, source, target)
                    return

    def level(self) -> None:
        """Move bases from services above their limit to those below it, directly or by way of a third service."""
        while self.left:
            full = [key for key in self.placement.held if self.excess(key) > 0]
            full.sort(key=lambda key: (-self.excess(key), key))
            if not any(self._relieve(key) for key in full):
                return

    def _relieve(self, source: str) -> bool:
        """Move one base off a service, over as few others as possible; False when it cannot be done."""
        ways: dict[str, list[tuple[str, str, str]]] = {source: []}
        queue = [source]
        while queue:
            here = queue.pop(0)
            for target in self._by_room():
                if target in ways or len(ways[here]) >= self.left:
                    continue
                base = self._movable(here, target, {step[0] for step in ways[here]})
                if base is None:
                    continue
                ways[target] = [*ways[here], (base, here, target)]
                if self.excess(target) < 0:
                    for step in ways[target]:
                        self._move(*step)
                    return True
                queue.append(target)
        return False

    def _movable(self, source: str, target: str, taken: set[str]) -> str | None:
        """First base by name that may go from one service to another."""
        bases = self._held.get(source, [])
        index = self._searched.get((source, target), 0)
        while index < len(bases) and not self._fits(bases[index], source, target):
            index += 1
        self._searched[source, target] = index
        while index < len(bases):
            if bases[index] not in taken and self._fits(bases[index], source, target):
                return bases[index]
            index += 1
        return None

    def _fits(self, base: str, source: str, target: str) -> bool:
        peers = self.placement.peers[base]
        if base in self.moved or target in peers or source not in peers:
            return False
        return self._apart(target, [peer for peer in peers if peer != source])

    def _apart(self, key: str, others: list[str]) -> bool:
        for other in others:
            if (key, other) not in self._distances:
                places = (self.placement.location(key), self.placement.location(other))
                self._distances[key, other] = locations.distance(*places)
            if self._distances[key, other] < self.placement.min_dist:
                return False
        return True

    def _by_room(self) -> list[str]:
        keys = [one.key for one in self.placement.positive()]
        return sorted(keys, key=lambda key: (self.excess(key), key))

    def _move(self, base: str, source: str, target: str) -> None:
        move = Move(base, source, target, replaced(self.placement.peers[base], source, target))
        self.placement.apply(move)
        self.moves.append(move)
        self.moved.add(base)
        self.left -= 1
