"""What to do next for one deployment: a pure function from what is wanted and what is seen to a list of steps.

The rules for one workload stand in `RULES`, first match wins:

| it is …                                           | step     |
|---------------------------------------------------|----------|
| to go, and nobody uses it                         | remove   |
| installed, not looked at since the daemon started | recover  |
| to go, still used, and it never worked            | hold     |
| in need of one that failed                        | blame    |
| in need of one that is not there yet              | wait     |
| half changed by a failed update                   | install  |
| new, or failed, in a paused deployment            | –        |
| new, or failed                                    | install  |
| paused, gone, and can only be made running        | –        |
| installed, but gone from the machine              | install  |
| to go, and another workload still uses it         | hold     |
| asked for in a newer version                      | update   |
| running in a deployment that is to pause          | pause    |
| paused in a deployment that is to run             | resume   |

A machine that died is no case of its own where its provisioner starts it again by itself (`Engine.reported`): it is
in `error` and still there, and nothing is done about it.

Nothing is done for a deployment whose contract is not checked yet, for a workload whose last act has not come back,
or before the time of its next try.

Removals come first, in reverse order of types; then pauses, in reverse; then everything else in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import Enum

from gridtypes import Name, ResultState


class Verb(Enum):
    INSTALL = "install"
    RECOVER = "recover"
    UPDATE = "update"
    REMOVE = "remove"
    PAUSE = "pause"
    RESUME = "resume"
    HOLD = "hold"
    """Say why the removal has to wait."""
    BLAME = "blame"
    """Say which workload's failure makes this one fail, without trying."""


class Sight(Enum):
    """What this process knows of a workload on the machine."""

    UNSEEN = "unseen"
    MISSING = "missing"
    LIVE = "live"


@dataclass(frozen=True, slots=True)
class Need:
    """Another workload that this one cannot do without."""

    name: Name
    ready: bool
    failed: str = ""
    """Its error; "" while it has none."""
    rests: bool = False
    """It is paused and gone, and is made again when its deployment may run."""


@dataclass(frozen=True, slots=True)
class Goal:
    """One workload as the journal has it: what it is and what it should be."""

    name: Name
    order: tuple[int, int, int]
    state: ResultState
    leaving: bool = False
    newer: bool = False
    """An update asks for another version."""
    half_changed: bool = False
    needs: tuple[Need, ...] = ()
    users: tuple[str, ...] = ()
    """Whoever still uses it, as people write it."""
    can_pause: bool = False
    """The type pauses by itself; others only carry the state."""


@dataclass(frozen=True, slots=True)
class Observed:
    """One workload as this process sees it."""

    sight: Sight = Sight.UNSEEN
    due: bool = True
    """The time of the next try has come."""
    busy: bool = False
    """An earlier act has not come back."""


@dataclass(frozen=True, slots=True)
class Desired:
    checked: bool
    """The contract was found good; before that nothing is made."""
    paused: bool
    goals: tuple[Goal, ...]


@dataclass(frozen=True, slots=True)
class Step:
    verb: Verb
    name: Name
    reason: str = ""


@dataclass(frozen=True, slots=True)
class _Case:
    goal: Goal
    seen: Observed
    paused: bool

    @property
    def installed(self) -> bool:
        """It worked once and was not given up; one that mends itself is in error and live."""
        if self.goal.state in (ResultState.OK, ResultState.PAUSED):
            return True
        return self.mends_itself

    @property
    def mends_itself(self) -> bool:
        """Its provisioner reported a failure and starts it again by its own means."""
        return self.goal.state is ResultState.ERROR and self.seen.sight is Sight.LIVE

    @property
    def failed_need(self) -> Need | None:
        return next((need for need in self.goal.needs if need.failed and not need.ready), None)

    @property
    def missing_need(self) -> Need | None:
        return next((need for need in self.goal.needs if not need.ready), None)

    @property
    def to_be_made(self) -> bool:
        """Something would be installed or changed, so what it needs has to be there."""
        if self.goal.half_changed or self.goal.newer:
            return True
        if not self.installed:
            return not self.paused
        return self.seen.sight is Sight.MISSING and not self.rests

    @property
    def rests(self) -> bool:
        """Paused, and not to be made before it may run again."""
        return self.paused and self.goal.can_pause and self.goal.state is ResultState.PAUSED


RULES: tuple[tuple[str, Callable[[_Case], bool], Verb | None], ...] = (
    ("to go", lambda c: c.goal.leaving and not c.goal.users, Verb.REMOVE),
    ("not looked at", lambda c: c.installed and c.seen.sight is Sight.UNSEEN, Verb.RECOVER),
    ("to go, still used, never worked", lambda c: c.goal.leaving and not c.installed, Verb.HOLD),
    ("needs a failed one", lambda c: c.to_be_made and c.failed_need is not None, Verb.BLAME),
    ("needs one not there", lambda c: c.to_be_made and c.missing_need is not None, None),
    ("half changed", lambda c: c.goal.half_changed, Verb.INSTALL),
    ("new in a paused one", lambda c: not c.installed and c.paused, None),
    ("new or failed", lambda c: not c.installed, Verb.INSTALL),
    ("paused and gone", lambda c: c.seen.sight is Sight.MISSING and c.rests, None),
    ("gone", lambda c: c.seen.sight is Sight.MISSING, Verb.INSTALL),
    ("to go, still used", lambda c: c.goal.leaving, Verb.HOLD),
    ("newer version", lambda c: c.goal.newer, Verb.UPDATE),
    ("to pause", lambda c: c.paused and c.goal.state is not ResultState.PAUSED, Verb.PAUSE),
    ("to resume", lambda c: not c.paused and c.goal.state is ResultState.PAUSED, Verb.RESUME),
)

_BACKWARD = {Verb.HOLD: 0, Verb.REMOVE: 0, Verb.PAUSE: 1}
_LAST = 2


def plan(desired: Desired, observed: dict[Name, Observed]) -> tuple[Step, ...]:
    """The steps that are possible now, in the order in which they have to be taken."""
    steps = [
        (goal, step)
        for goal in desired.goals
        if (step := _step(desired, goal, observed.get(goal.name, Observed()))) is not None
    ]
    return tuple(step for _, step in sorted(steps, key=lambda item: _place(*item)))


def settled(desired: Desired, observed: dict[Name, Observed]) -> bool:
    """Whether nothing is left to do, now or later, until somebody asks for a change."""
    return desired.checked and not any(
        observed.get(goal.name, Observed()).busy
        or _verdict(desired, goal, observed.get(goal.name, Observed())) is not None
        or _waits_for_another(desired, goal, observed.get(goal.name, Observed()))
        for goal in desired.goals
    )


def _step(desired: Desired, goal: Goal, seen: Observed) -> Step | None:
    if seen.busy or not seen.due:
        return None
    verb = _verdict(desired, goal, seen)
    if verb is None:
        return None
    return Step(verb, goal.name, _reason(verb, _Case(goal, seen, desired.paused)))


def _verdict(desired: Desired, goal: Goal, seen: Observed) -> Verb | None:
    if not desired.checked and not goal.leaving:
        return None
    case = _Case(goal, seen, desired.paused)
    return next((verb for _, applies, verb in RULES if applies(case)), None)


def _waits_for_another(desired: Desired, goal: Goal, seen: Observed) -> bool:
    case = _Case(goal, seen, desired.paused)
    need = case.missing_need
    return not goal.leaving and case.to_be_made and need is not None and not need.rests


def _reason(verb: Verb, case: _Case) -> str:
    if verb is Verb.HOLD:
        return f"removal waits: still used by {_listed(case.goal.users)}"
    if verb is Verb.BLAME and (need := case.failed_need) is not None:
        return f"needs '{need.name}', which failed ({need.name}: {need.failed})"
    return ""


def _listed(users: Iterable[str], most: int = 5) -> str:
    names = list(users)
    shown = ", ".join(names[:most])
    return shown if len(names) <= most else f"{shown} and {len(names) - most} more"


def _place(goal: Goal, step: Step) -> tuple[int, ...]:
    group = _BACKWARD.get(step.verb, _LAST)
    if group == _LAST:
        return (group, *goal.order)
    return (group, *(-part for part in goal.order))
