"""The election of one base at one peer, as one table: (state, event) -> (state, commands). Pure.

Who is master is decided by the lease store (one holder a peer set) and by the peers' promises (a majority must have
promised the lease's token before its holder serves). The table says what a peer does next; the shell performs the
commands and feeds back what came of them. A pair that is not in the table changes nothing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from enum import Enum
from typing import Final


class State(Enum):
    """Where a peer stands; the names are those of the debugging output of OpenIO SDS where a state means the same."""

    NONE = "NONE"
    CREATING = "CREATING"
    CHECKING_SLAVES = "CHECKING_SLAVES"
    SLAVE = "SLAVE"
    MASTER = "MASTER"
    LEAVING = "LEAVING"
    FAILED = "FAILED"


class Event(Enum):
    """What can happen to an election."""

    ASKED = "ASKED"
    LEASE_MINE = "CREATE_OK"
    LEASE_OTHER = "MASTER_OK"
    LEASE_FAILED = "CREATE_KO"
    LEASE_LOST = "DISCONNECTED"
    PROMISES_OK = "GETVERS_OK"
    PROMISES_FAILED = "GETVERS_KO"
    FENCED = "GETVERS_RACE"
    LEAVE_ASKED = "LEAVE_REQ"
    RELEASED = "LEAVE_OK"


class Command(Enum):
    """What the shell has to do."""

    ACQUIRE_LEASE = "acquire the lease"
    COLLECT_PROMISES = "collect promises"
    RELEASE_LEASE = "release the lease"


TABLE: Final[dict[tuple[State, Event], tuple[State, tuple[Command, ...]]]] = {
    (State.NONE, Event.ASKED): (State.CREATING, (Command.ACQUIRE_LEASE,)),
    (State.FAILED, Event.ASKED): (State.CREATING, (Command.ACQUIRE_LEASE,)),
    (State.SLAVE, Event.ASKED): (State.CREATING, (Command.ACQUIRE_LEASE,)),
    (State.CREATING, Event.LEASE_MINE): (State.CHECKING_SLAVES, (Command.COLLECT_PROMISES,)),
    (State.CREATING, Event.LEASE_OTHER): (State.SLAVE, ()),
    (State.CREATING, Event.LEASE_FAILED): (State.FAILED, ()),
    (State.CREATING, Event.LEAVE_ASKED): (State.LEAVING, (Command.RELEASE_LEASE,)),
    (State.CREATING, Event.LEASE_LOST): (State.NONE, ()),
    (State.CHECKING_SLAVES, Event.PROMISES_OK): (State.MASTER, ()),
    (State.CHECKING_SLAVES, Event.PROMISES_FAILED): (State.LEAVING, (Command.RELEASE_LEASE,)),
    (State.CHECKING_SLAVES, Event.FENCED): (State.LEAVING, (Command.RELEASE_LEASE,)),
    (State.CHECKING_SLAVES, Event.LEASE_LOST): (State.NONE, ()),
    (State.CHECKING_SLAVES, Event.LEAVE_ASKED): (State.LEAVING, (Command.RELEASE_LEASE,)),
    (State.MASTER, Event.FENCED): (State.LEAVING, (Command.RELEASE_LEASE,)),
    (State.MASTER, Event.LEASE_LOST): (State.NONE, ()),
    (State.MASTER, Event.LEAVE_ASKED): (State.LEAVING, (Command.RELEASE_LEASE,)),
    (State.SLAVE, Event.LEAVE_ASKED): (State.NONE, ()),
    (State.SLAVE, Event.LEASE_LOST): (State.NONE, ()),
    (State.LEAVING, Event.RELEASED): (State.NONE, ()),
    (State.LEAVING, Event.LEASE_LOST): (State.NONE, ()),
}
"""Every state has a way out, and only a lease that is one's own together with promises leads to MASTER."""


def step(state: State, event: Event) -> tuple[State, tuple[Command, ...]]:
    """The next state and what to do; unchanged and nothing for a pair that the table does not know."""
    return TABLE.get((state, event), (state, ()))


@dataclass(slots=True)
class Election:
    """A peer's state in one election, with its last transitions (newest first) for the debugging output."""

    state: State = State.NONE
    log: deque[str] = field(default_factory=lambda: deque(maxlen=16))

    def feed(self, event: Event, now_ms: int) -> tuple[Command, ...]:
        """Take one step; `now_ms` (milliseconds of the wall clock) only goes into the log."""
        before = self.state
        self.state, commands = step(before, event)
        if self.state is not before:
            self.log.appendleft(f"{now_ms}:{before.value}:{event.value}:{self.state.value}")
        return commands
