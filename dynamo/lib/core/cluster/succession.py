"""Who leads the group of MariaDBs: what a guardian of one of them has to do next.

Pure: it is given what each of them says of itself.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from dynamo.core.cluster.replica import Advance, State

TURN_S = 2.0
"""How much longer each further one waits at least, in seconds: a new leader needs about so long."""
CLOSED_S = 1.0
"""How long a MariaDB that has led may not run before a new leader is looked for, in seconds."""


@dataclass(frozen=True, slots=True)
class Nothing:
    """All is well, or nothing can be done; `reason` is for people."""

    reason: str


@dataclass(frozen=True, slots=True)
class Stand:
    """Ask for promises of a new epoch, from all that can be reached."""

    epoch: int


@dataclass(frozen=True, slots=True)
class Follow:
    """Follow a leader."""

    leader: str
    epoch: int


@dataclass(frozen=True, slots=True)
class Rebuild:
    """Become a copy of a leader's database, and follow it; what is here and not there is a conflict."""

    leader: str
    epoch: int


@dataclass(frozen=True, slots=True)
class StepDown:
    """Take no more changes: others have promised a higher epoch."""

    epoch: int


Act = Nothing | Stand | Follow | Rebuild | StepDown


def quorum(count: int) -> int:
    """How many of a group have to promise.

    A majority, so that two leaders cannot be chosen in one epoch, and all but one, so that somebody who promises has
    what was acknowledged: a commit waits for the leader and one other.
    """
    return max(count // 2 + 1, count - 1)


def most_advanced(logs: Mapping[str, Advance], wanted: str | None = None) -> str:
    """Who of those that promised has every acknowledged change; `wanted` among several that have, else the first."""
    best = max(logs.values())
    return min((name for name in logs if logs[name] == best), key=lambda name: (name != wanted, name))


def leader_among(states: Collection[State]) -> State | None:
    """The one that leads: it takes changes, and nobody who is heard of has promised a higher epoch."""
    highest = max((state.epoch for state in states), default=0)
    leading = [
        state for state in states if state.leads and state.epoch == highest and state.leader == state.name
    ]
    return leading[0] if leading else None


def patience_for(ttl: float, leader_is_closed: bool) -> float:
    """How long nobody may lead before a new leader is looked for, in seconds.

    That there is one leader follows from promises and not from time; patience only keeps a leader that is slow, or a
    network that is away for a moment.  A machine that answers that no MariaDB runs there is neither.
    """
    return min(ttl, CLOSED_S) if leader_is_closed else ttl


def next_act(
    own: str, size: int, states: Mapping[str, State], addresses: Mapping[str, str], unled_s: float, ttl: float
) -> Act:
    """What the guardian of `own` does now.

    `states` are those that can be reached; nobody has been seen leading for `unled_s` seconds, and from `ttl` on that
    is too long.
    """
    leader = leader_among(states.values())
    mine = states.get(own)
    if leader is None:
        return _without_leader(own, size, states, unled_s, ttl)
    if mine is None:
        return Nothing("the own MariaDB cannot be reached")
    if mine.name == leader.name:
        return Nothing("it leads")
    if mine.leads:
        return StepDown(leader.epoch)
    if not mine.has_data or mine.has_diverged:
        return Rebuild(leader.name, leader.epoch)
    if mine.follows != addresses[leader.name] or not (mine.runs or mine.broken) or mine.epoch < leader.epoch:
        return Follow(leader.name, leader.epoch)
    return Nothing(f"it follows {leader.name}")


def _without_leader(own: str, size: int, states: Mapping[str, State], unled_s: float, ttl: float) -> Act:
    highest = max((state.epoch for state in states.values()), default=0)
    mine = states.get(own)
    if mine is not None and mine.leads and mine.epoch < highest:
        return StepDown(highest)
    if len(states) < quorum(size):
        return Nothing(f"{len(states)} of {size} can be reached, {quorum(size)} are needed")
    # Those further down the list wait longer, so that they do not take promises from each other.
    turn = sorted(states).index(own) if own in states else len(states)
    patience = max(ttl * (1 + turn / 2), turn * TURN_S)
    if unled_s < patience:
        return Nothing(
            f"nobody has led for {unled_s:.0f} s; a new leader is looked for after {patience:.0f} s"
        )
    return Stand(highest + 1)
