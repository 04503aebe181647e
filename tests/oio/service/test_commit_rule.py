"""The commit rule, explored: 2,000 histories of 400 steps, each replayable from its seed."""

from __future__ import annotations

import pytest

from oio.service import quorum, replica
from oio.service.election import TABLE, Event, State, step
from tests.oio.service.log_simulation import Diverged, Simulation

HISTORIES = 2000
STEPS = 400


def diverges(seed: int) -> bool:
    try:
        Simulation(seed).run(STEPS)
    except Diverged:
        return True
    return False


def test_no_history_loses_or_replaces_an_acknowledged_change() -> None:
    acknowledged = 0
    for seed in range(HISTORIES):
        try:
            acknowledged += Simulation(seed).run(STEPS)
        except Diverged as error:
            pytest.fail(f"Simulation({seed}).run({STEPS}): {error}")
    assert acknowledged > HISTORIES, "too few histories get as far as a commit to mean anything"


def test_without_the_fencing_check_a_history_diverges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica, "is_fenced", lambda promised, token: False)
    assert any(diverges(seed) for seed in range(HISTORIES))


def test_a_change_of_peers_needs_a_majority_of_both_sets() -> None:
    old, new = frozenset("abc"), frozenset("cde")
    assert not quorum.reached("abc", (old, new))
    assert quorum.reached("bcd", (old, new))
    assert quorum.decide("c", "ab", (old, new)) is quorum.Verdict.FAIL
    assert quorum.decide("c", "a", (old, new)) is quorum.Verdict.WAIT


def test_every_state_of_the_election_has_a_way_out() -> None:
    assert {state for state, _ in TABLE} == set(State)


def test_only_promises_lead_to_master() -> None:
    ways = [pair for pair, (after, _) in TABLE.items() if after is State.MASTER]
    assert ways == [(State.CHECKING_SLAVES, Event.PROMISES_OK)]
    assert step(State.SLAVE, Event.PROMISES_OK) == (State.SLAVE, ())
