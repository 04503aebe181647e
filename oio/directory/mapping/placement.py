"""A mapping in memory: services with place and score, and the bases they hold. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from oio.directory import locations


@dataclass(frozen=True, slots=True)
class Candidate:
    """A service: its key (address or id), where it stands, and its score (0: must not get bases)."""

    key: str
    location: str
    score: int


@dataclass(frozen=True, slots=True)
class Move:
    """One replica of one base goes from a service to another; `peers` is who holds the base afterwards."""

    base: str
    source: str
    target: str
    peers: tuple[str, ...]


@dataclass
class Placement:
    """Who holds which base. `replicas` and `min_dist` are what is wanted, not what is."""

    candidates: dict[str, Candidate]
    peers: dict[str, tuple[str, ...]]
    replicas: int
    min_dist: int = 1
    total_bases: int = 0
    held: dict[str, set[str]] = field(init=False)

    def __post_init__(self) -> None:
        self.held = {key: set() for key in self.candidates}
        for base, keys in self.peers.items():
            for key in keys:
                self.held.setdefault(key, set()).add(base)

    def copy(self) -> Placement:
        """A copy to plan on."""
        return Placement(
            dict(self.candidates), dict(self.peers), self.replicas, self.min_dist, self.total_bases
        )

    def apply(self, move: Move) -> None:
        """Make a move."""
        self.peers[move.base] = move.peers
        self.held[move.source].discard(move.base)
        self.held[move.target].add(move.base)

    def location(self, key: str) -> str:
        """Where a service stands; one that is not known stands at its address."""
        found = self.candidates.get(key)
        return found.location if found else key.rsplit(":", 1)[0]

    def far_enough(self, key: str, others: Iterable[str]) -> bool:
        """Whether a service keeps the wanted distance to all others."""
        here = self.location(key)
        return all(locations.distance(here, self.location(other)) >= self.min_dist for other in others)

    def positive(self) -> list[Candidate]:
        """Services that may get bases."""
        return [one for one in self.candidates.values() if one.score > 0]

    def groups(self) -> dict[str, int]:
        """Location group -> number of its services that may get bases."""
        found: dict[str, int] = {}
        for one in self.positive():
            name = locations.group(one.location, self.min_dist)
            found[name] = found.get(name, 0) + 1
        return found

    def upper_limits(self) -> dict[str, int]:
        """Most bases that each service should hold; ValueError when there are fewer groups than replicas."""
        groups = self.groups()
        if len(groups) < self.replicas:
            raise ValueError(
                f"Less than {self.replicas} locations have a positve score, "
                f"we won't rebalance (currently: {len(groups)})"
            )
        wanted = self.total_bases * self.replicas
        return {
            key: -(-wanted // (len(groups) * groups[locations.group(one.location, self.min_dist)]))
            if one.score > 0
            else 0
            for key, one in self.candidates.items()
        }

    def shares_a_group(self, base: str) -> bool:
        """Whether two peers of a base stand in one location group."""
        names = [locations.group(self.location(key), self.min_dist) for key in self.peers[base]]
        return len(set(names)) < len(names)


def replaced(peers: Iterable[str], source: str, target: str) -> tuple[str, ...]:
    """The peers with one of them exchanged."""
    return (*(peer for peer in peers if peer != source), target)


def changes(before: Mapping[str, Iterable[str]], after: Mapping[str, Iterable[str]]) -> dict[str, int]:
    """Base -> how many of its replicas stand elsewhere afterwards."""
    return {base: len(set(before[base]) - set(after.get(base, ()))) for base in before}
