"""What a sequence does when its applications end well or badly."""

from __future__ import annotations

import pytest
from dynamo.core.master.applications import Status
from dynamo.core.sequences.definition import parse_definition
from dynamo.core.sequences.progress import State, advance

STEPS = (
    parse_definition("{a} = /a\n[SEQUENCE s]\n^ {a} 1\n& {a} 2\n| {a} 3\nWAIT 60\n", {}).sequences["s"].steps
)
ENDING = parse_definition("{a} = /a\n[SEQUENCE s]\n^ {a}\nTERMINATE\n", {}).sequences["s"].steps


def test_a_step_is_submitted_once_and_waited_for() -> None:
    state, submit = advance(State(0), STEPS, None, 0)
    assert submit is not None
    assert submit.step.arguments == "1"
    assert advance(State(0, app_id=5), STEPS, Status.RUN, 0) == (State(0, app_id=5), None)
    assert advance(State(0, app_id=5), STEPS, Status.DONE, 0) == (State(1), None)
    assert state == State(0)


@pytest.mark.parametrize(("line", "after"), [(0, 0), (1, 1), (2, 3)])
@pytest.mark.parametrize("status", [Status.FAILED, Status.KILLED, Status.AUTHFAILED, None])
def test_a_failure_begins_again_repeats_the_line_or_goes_on(
    line: int, after: int, status: Status | None
) -> None:
    assert advance(State(line, app_id=5), STEPS, status, 0) == (State(after), None)


def test_a_wait_ends_when_it_is_due_and_a_ring_begins_again() -> None:
    state, _ = advance(State(3), STEPS, None, 1000)
    assert state.due == 1060
    assert advance(state, STEPS, None, 1059)[0] == state
    assert advance(state, STEPS, None, 1060)[0] == State(0)


def test_the_end_disables_the_sequence_and_it_can_start_again() -> None:
    state, _ = advance(State(1), ENDING, None, 0)
    assert state == State(0, enabled=False)
    assert advance(state, ENDING, None, 0) == (state, None)
    assert advance(State(0), ENDING, None, 0)[1] is not None
