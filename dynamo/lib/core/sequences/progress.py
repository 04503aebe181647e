"""What a sequence does next, decided from where it stands."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dynamo.core.master.applications import Status
from dynamo.core.sequences.cursor import Cursor
from dynamo.core.sequences.definition import Criticality, Execute, Step, Terminate, Wait


@dataclass(frozen=True, slots=True)
class State:
    """Where a sequence stands.

    `app_id` is the application of the present line, 0 before it is submitted; `due` is when a wait ends (Unix
    seconds), 0 before it begins.
    """

    line: int
    app_id: int = 0
    due: int = 0
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class Submit:
    """The step's application is to be put into the queue."""

    step: Execute


def advance(state: State, steps: list[Step], status: Status | None, now: int) -> tuple[State, Submit | None]:
    """The next state, and what to do for it.  `status` is that of the present line's application."""
    if not state.enabled or not steps:
        return replace(state, enabled=False), None
    step = steps[state.line]
    match step:
        case Terminate():
            return State(0, enabled=False), None
        case Wait(seconds=seconds):
            if state.due == 0:
                return replace(state, due=now + max(1, int(seconds))), None
            return (_go(state, steps, state.line + 1), None) if now >= state.due else (state, None)
        case Execute(criticality=criticality):
            if state.app_id == 0:
                return state, Submit(step)
            if status is not None and not status.is_final:
                return state, None
            if status is Status.DONE or criticality is Criticality.PASS:
                return _go(state, steps, state.line + 1), None
            return State(0 if criticality is Criticality.REPEAT_SEQUENCE else state.line), None


def wants_mail(step: Step, status: Status | None) -> bool:
    """Shall somebody hear of the end of a step's application?  None is one whose record is lost."""
    has_failed = status is None or (status.is_final and status is not Status.DONE)
    return has_failed and isinstance(step, Execute) and step.criticality is not Criticality.PASS


def _go(state: State, steps: list[Step], line: int) -> State:
    cursor = Cursor(len(steps), not any(isinstance(step, Terminate) for step in steps), state.line)
    cursor.shift(line)
    return State(0, enabled=False) if cursor.line is None else State(cursor.line)
