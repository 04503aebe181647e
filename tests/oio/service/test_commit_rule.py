"""The commit rule, explored: 2,000 histories of 500 steps, each replayable from its seed."""

from __future__ import annotations

import pytest

from oio.service import quorum, replica
from oio.service.election import TABLE, Event, State, step
from oio.service.mastership import Mastership
from tests.oio.service.log_simulation import Diverged, Simulation

HISTORIES = 2000
STEPS = 500
WITH_A_STALE_MASTER = (2879, 8940, 15471)
"""Histories in which a master of the old peers proposes a change of peers again that the new ones went on from."""


def diverges(seed: int) -> bool:
    try:
        Simulation(seed).run(STEPS)
    except Diverged:
        return True
    return False


def test_no_history_loses_or_replaces_or_hides_an_acknowledged_change() -> None:
    acknowledged = read = changes = 0
    for seed in range(HISTORIES):
        history = Simulation(seed)
        try:
            acknowledged += history.run(STEPS)
        except Diverged as error:
            pytest.fail(f"Simulation({seed}).run({STEPS}): {error}")
        read += history.reads
        changes += sum(log.peers() != log.first_peers for log in history.logs.values())
    few = "too few histories get as far as that to mean anything"
    assert acknowledged > HISTORIES, few
    assert read > HISTORIES, few
    assert changes > HISTORIES // 2, few


def test_without_the_fencing_check_a_history_diverges(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replica, "is_fenced", lambda promised, token: False)
    assert any(diverges(seed) for seed in range(HISTORIES))


def test_without_the_say_of_the_new_peers_a_history_diverges(monkeypatch: pytest.MonkeyPatch) -> None:
    assert not any(diverges(seed) for seed in WITH_A_STALE_MASTER)
    monkeypatch.setattr(Mastership, "configs", property(lambda self: (self.peers,)))
    assert all(diverges(seed) for seed in WITH_A_STALE_MASTER)


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
