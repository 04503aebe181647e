"""What a guardian does next, from what all MariaDBs of the group say of themselves."""

from __future__ import annotations

from dataclasses import replace

from dynamo.core.cluster.replica import Advance, State, sequence_of
from dynamo.core.cluster.succession import (
    Act,
    Follow,
    Nothing,
    Rebuild,
    Stand,
    StepDown,
    leader_among,
    most_advanced,
    next_act,
    patience_for,
    quorum,
)

ADDRESSES = {"a": "a:1", "b": "b:1", "c": "c:1"}
LEADER = State("a", 3, "a", False, 10, True)
FOLLOWER = State("b", 3, "a", True, 10, True, "a:1", True)
OTHER = replace(FOLLOWER, name="c")


def act(own: str, *states: State, unled: float = 0.0) -> Act:
    return next_act(own, 3, {state.name: state for state in states}, ADDRESSES, unled, 10.0)


def test_the_epoch_of_a_log_counts_more_than_its_length() -> None:
    logs = {"a": Advance(1, 105), "b": Advance(2, 102), "c": Advance(2, 101)}
    assert most_advanced(logs) == "b"
    assert most_advanced(logs, "c") == "b"
    assert most_advanced({**logs, "c": Advance(2, 102)}, "c") == "c"


def test_all_is_well() -> None:
    assert act("a", LEADER, FOLLOWER, OTHER) == Nothing("it leads")
    assert act("b", LEADER, FOLLOWER, OTHER) == Nothing("it follows a")


def test_a_leader_is_who_takes_changes_in_the_highest_epoch() -> None:
    assert leader_among([LEADER, FOLLOWER]) is LEADER
    assert leader_among([LEADER, replace(FOLLOWER, epoch=4, leader="")]) is None
    assert leader_among([replace(LEADER, leader=""), FOLLOWER]) is None


def test_who_does_not_follow_the_leader_does_so_now() -> None:
    for change in ({"follows": "c:1"}, {"follows": "", "runs": False}, {"epoch": 2}):
        assert act("b", LEADER, replace(FOLLOWER, **change), OTHER) == Follow("a", 3)


def test_a_connection_that_is_just_broken_is_left_to_replication() -> None:
    assert act("b", LEADER, replace(FOLLOWER, runs=False, broken=2003), OTHER) == Nothing("it follows a")


def test_what_is_empty_or_has_diverged_is_built_anew() -> None:
    assert act("b", LEADER, replace(FOLLOWER, has_data=False)) == Rebuild("a", 3)
    assert act("b", LEADER, replace(FOLLOWER, runs=False, broken=1236)) == Rebuild("a", 3)
    assert act("b", LEADER, replace(FOLLOWER, runs=False, misfit=1062)) == Rebuild("a", 3)


def test_an_old_leader_steps_down() -> None:
    old = State("b", 2, "b", False, 11, True)
    assert act("b", LEADER, old) == StepDown(3)
    promised = replace(OTHER, epoch=5, leader="")
    assert act("b", old, promised) == StepDown(5)


def test_enough_are_needed_and_those_behind_wait_longer() -> None:
    assert [quorum(size) for size in (1, 2, 3, 4, 5)] == [1, 2, 2, 3, 4]
    assert act("b", FOLLOWER, unled=99) == Nothing("1 of 3 can be reached, 2 are needed")
    assert isinstance(act("b", FOLLOWER, OTHER, unled=9), Nothing)
    assert act("b", FOLLOWER, OTHER, unled=10) == Stand(4)
    assert isinstance(act("c", FOLLOWER, OTHER, unled=14), Nothing)
    assert act("c", FOLLOWER, OTHER, unled=15) == Stand(4)


def test_a_leader_that_does_not_run_any_more_is_not_waited_for_as_long_as_one_that_cannot_be_reached() -> (
    None
):
    assert (patience_for(10.0, leader_is_closed=False), patience_for(10.0, leader_is_closed=True)) == (10, 1)
    assert patience_for(0.5, leader_is_closed=True) == 0.5

    def closed(own: str, unled: float) -> Act:
        states = {state.name: state for state in (FOLLOWER, OTHER)}
        return next_act(own, 3, states, ADDRESSES, unled, patience_for(10.0, leader_is_closed=True))

    assert isinstance(closed("b", 0.9), Nothing)
    assert closed("b", 1.0) == Stand(4)
    assert isinstance(closed("c", 1.9), Nothing)
    assert closed("c", 2.0) == Stand(4)


def test_without_its_own_mariadb_a_guardian_leaves_followers_alone() -> None:
    assert act("b", LEADER, OTHER) == Nothing("the own MariaDB cannot be reached")
    assert isinstance(act("b", replace(FOLLOWER, name="a"), OTHER, unled=19), Nothing)
    assert act("b", replace(FOLLOWER, name="a"), OTHER, unled=20) == Stand(4)


def test_positions_are_compared_by_their_numbers() -> None:
    assert [sequence_of(text) for text in ("", "0-1-9", "0-2-10", "0-1-7,1-3-12")] == [0, 9, 10, 12]
