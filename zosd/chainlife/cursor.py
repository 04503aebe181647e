"""Where the node stands in the stream of finalised blocks."""

from __future__ import annotations

import asyncio

from zosd.chainlife.notes import CURSOR
from zosd.clock import Clock
from zosd.journal.journal import Journal

SAVE_EVERY = 30.0
"""Seconds.  Blocks that are seen again after a crash do no harm, so not every one is worth an fsync."""


class JournalCursor:
    """A cursor of `tfchain.Chain.events`; the chain's client calls `save` after a block was dealt with."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._saved_at = -SAVE_EVERY
        self._saving: set[asyncio.Task[None]] = set()
        self.number: int | None = self.load()
        """The last block that was dealt with."""

    def load(self) -> int | None:
        note = self._journal.ledger.note(CURSOR)
        return int(note) if note else None

    def save(self, number: int) -> None:
        self.number = number
        if self._clock.monotonic() - self._saved_at < SAVE_EVERY:
            return
        self._saved_at = self._clock.monotonic()
        task = asyncio.get_running_loop().create_task(self.flush())
        self._saving.add(task)
        task.add_done_callback(self._saving.discard)

    async def flush(self) -> None:
        """Make the present place durable."""
        if self.number is not None:
            await self._journal.put_note(CURSOR, str(self.number).encode())
