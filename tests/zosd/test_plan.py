"""The table of steps, and properties of every plan."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridtypes import Name, ResultState
from zosd.engine.plan import Desired, Goal, Need, Observed, Sight, Step, Verb, plan, settled

OK, PAUSED, INIT, ERROR = ResultState.OK, ResultState.PAUSED, ResultState.INIT, ResultState.ERROR
LIVE, UNSEEN, MISSING = Sight.LIVE, Sight.UNSEEN, Sight.MISSING
READY = Need(Name("d"), ready=True)
ABSENT = Need(Name("d"), ready=False)
FAILED = Need(Name("d"), ready=False, failed="pool is full")


def one(sight: Sight = LIVE, paused: bool = False, **goal: object) -> tuple[Step, ...]:
    wanted = replace(Goal(Name("w"), (0, 0, 0), OK), **goal)  # type: ignore[arg-type]
    return plan(Desired(True, paused, (wanted,)), {wanted.name: Observed(sight)})


@pytest.mark.parametrize(
    ("sight", "paused", "goal", "verb"),
    [
        (MISSING, False, {"state": INIT}, Verb.INSTALL),
        (MISSING, False, {"state": ERROR}, Verb.INSTALL),
        (MISSING, True, {"state": INIT}, None),
        (MISSING, True, {"state": ERROR}, None),
        (LIVE, False, {}, None),
        (UNSEEN, False, {}, Verb.RECOVER),
        (UNSEEN, True, {"state": PAUSED}, Verb.RECOVER),
        (MISSING, False, {}, Verb.INSTALL),
        (MISSING, True, {"state": PAUSED, "can_pause": True}, None),
        (MISSING, True, {"state": PAUSED, "can_pause": False}, Verb.INSTALL),
        (MISSING, False, {"state": PAUSED, "can_pause": True}, Verb.INSTALL),
        (LIVE, False, {"newer": True}, Verb.UPDATE),
        (UNSEEN, False, {"newer": True}, Verb.RECOVER),
        (MISSING, False, {"newer": True}, Verb.INSTALL),
        (LIVE, False, {"half_changed": True}, Verb.INSTALL),
        (LIVE, True, {}, Verb.PAUSE),
        (LIVE, True, {"state": PAUSED}, None),
        (LIVE, False, {"state": PAUSED}, Verb.RESUME),
        (LIVE, False, {"leaving": True}, Verb.REMOVE),
        (UNSEEN, False, {"leaving": True}, Verb.REMOVE),
        (MISSING, False, {"leaving": True, "state": ERROR}, Verb.REMOVE),
        (LIVE, False, {"leaving": True, "users": ("'vm'",)}, Verb.HOLD),
        (UNSEEN, False, {"leaving": True, "users": ("'vm'",)}, Verb.RECOVER),
        (MISSING, False, {"leaving": True, "users": ("'vm'",)}, Verb.INSTALL),
        (MISSING, False, {"leaving": True, "users": ("'vm'",), "state": ERROR}, Verb.HOLD),
        (MISSING, False, {"state": INIT, "needs": (READY,)}, Verb.INSTALL),
        (MISSING, False, {"state": INIT, "needs": (ABSENT,)}, None),
        (MISSING, False, {"state": INIT, "needs": (FAILED,)}, Verb.BLAME),
        (UNSEEN, False, {"needs": (FAILED,)}, Verb.RECOVER),
        (LIVE, False, {"needs": (FAILED,)}, None),
        (MISSING, False, {"needs": (FAILED,)}, Verb.BLAME),
        (LIVE, False, {"newer": True, "needs": (ABSENT,)}, None),
        (LIVE, True, {"needs": (ABSENT,)}, Verb.PAUSE),
    ],
)
def test_table(sight: Sight, paused: bool, goal: dict[str, object], verb: Verb | None) -> None:
    steps = one(sight, paused, **goal)
    assert [step.verb for step in steps] == ([] if verb is None else [verb])


def test_nothing_is_made_before_the_contract_is_checked() -> None:
    goal = Goal(Name("w"), (0, 0, 0), INIT)
    assert plan(Desired(False, False, (goal,)), {}) == ()
    assert not settled(Desired(False, False, (goal,)), {})


def test_blame_names_the_other_and_its_reason_in_brackets() -> None:
    (step,) = one(MISSING, state=INIT, needs=(FAILED,))
    assert step.reason == "needs 'd', which failed (d: pool is full)"


def test_hold_names_users_but_not_endlessly() -> None:
    users = tuple(f"26-1-vm{n}" for n in range(8))
    (step,) = one(leaving=True, users=users)
    assert step.reason.endswith("26-1-vm3, 26-1-vm4 and 3 more")


def test_removals_first_and_backward_then_the_rest_forward() -> None:
    def goal(name: str, rank: int, **rest: object) -> Goal:
        return replace(Goal(Name(name), (rank, 0, 0), INIT), **rest)  # type: ignore[arg-type]

    goals = (
        goal("net", 3),
        goal("old_vm", 7, state=OK, leaving=True),
        goal("vm", 7),
        goal("old_disk", 0, state=OK, leaving=True),
        goal("disk", 0),
    )
    names = [step.name for step in plan(Desired(True, False, goals), {})]
    assert names == ["old_vm", "old_disk", "disk", "net", "vm"]


def test_busy_or_not_due_means_no_step_but_not_settled() -> None:
    goal = Goal(Name("w"), (0, 0, 0), ERROR)
    desired = Desired(True, False, (goal,))
    for seen in (Observed(MISSING, due=False), Observed(MISSING, busy=True)):
        assert plan(desired, {goal.name: seen}) == ()
        assert not settled(desired, {goal.name: seen})


goals = st.builds(
    Goal,
    name=st.sampled_from([Name(letter) for letter in "abcdef"]),
    order=st.tuples(st.integers(0, 12), st.integers(-5, 0), st.integers(0, 5)),
    state=st.sampled_from([INIT, OK, ERROR, PAUSED]),
    leaving=st.booleans(),
    newer=st.booleans(),
    half_changed=st.booleans(),
    needs=st.lists(st.sampled_from([READY, ABSENT, FAILED]), max_size=2).map(tuple),
    users=st.lists(st.just("'x'"), max_size=1).map(tuple),
    can_pause=st.booleans(),
)
seen = st.builds(Observed, st.sampled_from(list(Sight)), st.booleans(), st.booleans())


@given(
    st.lists(goals, max_size=6, unique_by=lambda goal: goal.name),
    st.dictionaries(st.sampled_from([Name(letter) for letter in "abcdef"]), seen),
    st.booleans(),
)
def test_every_plan(found: list[Goal], observed: dict[Name, Observed], paused: bool) -> None:
    desired = Desired(True, paused, tuple(found))
    steps = plan(desired, observed)
    # One step for each workload at most, none for one that is busy or not due, and a plan is never settled.
    assert len({step.name for step in steps}) == len(steps)
    for step in steps:
        eye = observed.get(step.name, Observed())
        assert eye.due
        assert not eye.busy
    if steps:
        assert not settled(desired, observed)
    # A removal never comes after something that is made.
    kinds = [step.verb is Verb.REMOVE for step in steps]
    assert kinds == sorted(kinds, reverse=True) or any(step.verb is Verb.HOLD for step in steps)
    # In a paused deployment nothing runs that did not run before.
    if paused:
        by_name = {goal.name: goal for goal in found}
        for step in steps:
            if step.verb is Verb.INSTALL and by_name[step.name].can_pause:
                goal = by_name[step.name]
                assert goal.half_changed or goal.state is OK
