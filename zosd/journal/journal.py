"""The journal: the ledger in memory and its file, kept in step."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from weakref import WeakValueDictionary

from gridtypes import Workload
from zosd.journal import rows
from zosd.journal.changes import Changes, PutNote
from zosd.journal.ledger import Ledger
from zosd.journal.records import Key
from zosd.journal.store import Store
from zosd.measures import Measures
from zosd.points import Hook, nothing


class Journal:
    """Reads are answered from memory; `commit` returns when the changes are on disk and in memory."""

    def __init__(self, path: Path, hook: Hook = nothing, measures: Measures | None = None) -> None:
        self.ledger = Ledger()
        self._store = Store(path)
        self._hook = hook
        self._measures = measures or Measures()
        self._locks: WeakValueDictionary[Key, asyncio.Lock] = WeakValueDictionary()

    async def open(self) -> None:
        """Load everything.  Raises JournalError."""
        self._store.open()
        try:
            deployments, notes = await self._store.run(rows.load)
        except BaseException:
            await self._store.close()
            raise
        self.ledger.restore(deployments, notes)

    @property
    def waiting(self) -> int:
        """Writes and reads that wait for their turn."""
        return self._store.waiting

    def check_open(self) -> None:
        """Raises JournalError when the thread that writes it does not run."""
        self._store.check_open()

    async def close(self) -> None:
        await self._store.close()

    @asynccontextmanager
    async def altering(self, key: Key) -> AsyncIterator[None]:
        """Keep others from altering the deployment between a look into the ledger and the commit that follows.

        Hold it for decision and commit only, never for an act on the machine.
        """
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = asyncio.Lock()
        async with lock:
            yield

    async def commit(self, name: str, changes: Changes) -> None:
        """Write all changes or none.  `name` says in the points what they are: `journal.<name>.commit` and `.done`."""
        if not changes:
            return
        began = time.monotonic()
        await self._store.run(
            lambda connection: rows.write(connection, changes),
            applied=lambda _: self.ledger.apply(changes),
            before_commit=lambda: self._hook(f"journal.{name}.commit"),
            after_commit=lambda: self._hook(f"journal.{name}.done"),
        )
        self._measures.committed(name, time.monotonic() - began)

    async def put_note(self, name: str, value: bytes | None) -> None:
        """Keep (or, with None, forget) a small value of the node itself, unless it is known already."""
        if self.ledger.note(name) != value:
            await self.commit("note", [PutNote(name, value)])

    async def history(self, key: Key) -> list[Workload]:
        """All transactions of the deployment, oldest first; empty when it is unknown."""
        return await self._store.run(lambda connection: rows.history(connection, key))
