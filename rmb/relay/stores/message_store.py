"""What every store of a relay can do."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

import structlog

from rmb.errors import RmbError

log = structlog.get_logger("rmb.relay")

Id = str | int
"""Of a stored message, as its store makes them; those of one session grow in the order of storing."""
FIRST: Id = "0"
"""Before every id."""

MAX_IN_SESSION = 10_000
"""Messages that are kept for one session; the oldest give way."""
IDLE_LIFE_S = 3600
"""Seconds after which what nobody fetched is forgotten, counted from the last message of the session."""


class StoreUnavailable(RmbError):
    """Nothing can be stored now; the message was not accepted."""


Kept = Callable[[Id | StoreUnavailable], None]
"""Told once, in the loop: the id of a message that is durable now, or why it could not be kept."""


def tell(answers: Iterable[tuple[Kept, Id | StoreUnavailable]]) -> None:
    """Tell each what became of its message; one that fails keeps nobody else from being told."""
    for kept, answer in answers:
        try:
            kept(answer)
        except Exception:
            log.exception("a stored message could not be gone on with")


class MessageStore(Protocol):
    """Keeps messages for sessions, and a queue of messages for other relays."""

    def append(self, session: str, message: bytes, kept: Kept) -> None:
        """Keep a message.  Those of one session are told of in their order."""
        ...

    async def read(self, session: str, after: Id, count: int) -> list[tuple[Id, bytes]]:
        """The oldest messages of a session after an id.  Raises StoreUnavailable."""
        ...

    def delete(self, session: str, ids: list[Id]) -> None:
        """Forget messages that were delivered, soon: after a crash they may be delivered again."""
        ...

    def queue(self, message: bytes, kept: Kept) -> None:
        """Keep a message for another relay; as `append`."""
        ...

    async def take(self, count: int) -> list[tuple[Id, bytes]]:
        """Messages for other relays that nobody works on; waits a moment when there is none.

        What is taken and not `done` comes again, after a restart at the latest.  Raises StoreUnavailable.
        """
        ...

    def done(self, ids: list[Id]) -> None:
        """Forget messages for other relays, soon."""
        ...

    async def close(self) -> None:
        """Write what waits, and let go."""
        ...
