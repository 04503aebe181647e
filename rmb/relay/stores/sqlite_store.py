"""A store in one SQLite file: for a relay that runs alone, without Redis.

Whatever arrives while a transaction is being written goes into the next one, so that one `fsync` serves all messages of
a few milliseconds.  Which messages a session has is kept in memory (8 bytes each, and some 300 for a session), so that
the file needs no index and what was delivered is deleted by ranges.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from rmb.relay.stores.message_store import (
    FIRST,
    IDLE_LIFE_S,
    MAX_IN_SESSION,
    Id,
    Kept,
    StoreUnavailable,
    tell,
)

T = TypeVar("T")

SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY, session TEXT NOT NULL, stored REAL NOT NULL, body BLOB NOT NULL
);
DROP INDEX IF EXISTS message_by_session;
"""
INSERT = "INSERT INTO message (id, session, stored, body) VALUES "
ROW = "(?, ?, ?, ?)"
MOST_ROWS = 128
"""Rows that one statement inserts: after each statement the thread has to wait for Python's lock."""
DELETE_RANGE = "DELETE FROM message WHERE id BETWEEN ? AND ?"
DELETE = "DELETE FROM message WHERE id IN (SELECT value FROM json_each(?))"
LONG_RANGE = 16
"""Rows for which a statement of their own pays."""
SELECT = "SELECT id, body FROM message WHERE id IN (SELECT value FROM json_each(?)) ORDER BY id"
QUEUE = ""
"""The session of messages for other relays; no twin has an empty name."""
MAX_WAITING = 100_000
"""Messages that may wait for the disk."""
MAX_SESSIONS = 1_000_000
"""Sessions for which something may wait in the file."""
SWEEP_EVERY_S = 60.0
FORGET_AFTER_S = 0.05
"""How long what was delivered may wait for a transaction that new messages need anyway."""
RETRY_S = 1.0
"""Between two attempts to forget what was delivered, on a disk that fails."""
QUEUE_PAUSE_S = 0.5


class _Shelf:
    """What a session has in the file."""

    __slots__ = ("ids", "last")

    def __init__(self) -> None:
        self.ids = array("q")
        """In growing order."""
        self.last = 0.0
        """When the newest was stored, Unix time."""


class SqliteStore:
    """Implements `MessageStore`."""

    def __init__(self, path: Path) -> None:
        """Raises StoreUnavailable when the file cannot be used."""
        self._thread = ThreadPoolExecutor(1, "relay-store")
        self._waiting: list[tuple[int, str, bytes, Kept]] = []
        self._doomed: list[int] = []
        """What is to be forgotten and may still be in the file."""
        self._shelves: dict[str, _Shelf] = {}
        self._taken = 0
        """The last message for other relays that somebody works on."""
        self._writer: asyncio.Task[None] | None = None
        self._queued = asyncio.Event()
        self._arrived = asyncio.Event()
        """Something is to be written at once."""
        self._closing = False
        self._last_sweep = 0.0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = self._thread.submit(_open, path).result()
            self._next = 1 + self._thread.submit(self._load).result()
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"cannot keep messages in {path}: {error}") from error

    def append(self, session: str, message: bytes, kept: Kept) -> None:
        if len(self._waiting) >= MAX_WAITING:
            kept(StoreUnavailable(f"{MAX_WAITING} messages wait for the disk already"))
            return
        if len(self._shelves) >= MAX_SESSIONS and session not in self._shelves:
            kept(StoreUnavailable(f"messages for {MAX_SESSIONS} sessions wait already"))
            return
        self._waiting.append((self._next, session, message, kept))
        self._next += 1
        self._arrived.set()
        self._wake()

    async def read(self, session: str, after: Id, count: int) -> list[tuple[Id, bytes]]:
        shelf = self._shelves.get(session)
        if shelf is None:
            return []
        start = bisect_right(shelf.ids, int(after))
        ids = shelf.ids[start : start + count]
        return [*await self._run(self._select, ids)] if ids else []

    def delete(self, session: str, ids: list[Id]) -> None:
        shelf = self._shelves.get(session)
        if shelf is None:
            return
        gone = array("q", map(int, ids))
        if shelf.ids[: len(gone)] == gone:
            del shelf.ids[: len(gone)]
        else:
            there = set(shelf.ids)
            gone = array("q", (id for id in gone if id in there))  # the others gave way to newer ones
            for id in gone:
                shelf.ids.remove(id)
        self._doomed += gone
        if not shelf.ids:
            del self._shelves[session]
        self._wake()

    def queue(self, message: bytes, kept: Kept) -> None:
        def told(answer: Id | StoreUnavailable) -> None:
            self._queued.set()
            kept(answer)

        self.append(QUEUE, message, told)

    async def take(self, count: int) -> list[tuple[Id, bytes]]:
        self._queued.clear()
        taken = await self.read(QUEUE, self._taken, count)
        if taken:
            self._taken = int(taken[-1][0])
            return taken
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(QUEUE_PAUSE_S):
                await self._queued.wait()
        return []

    def done(self, ids: list[Id]) -> None:
        self.delete(QUEUE, ids)

    async def close(self) -> None:
        self._closing = True
        self._arrived.set()
        while self._writer is not None:
            await self._writer
        await asyncio.get_running_loop().run_in_executor(self._thread, self._db.close)
        self._thread.shutdown()

    def _wake(self) -> None:
        if self._writer is None and (self._waiting or self._doomed):
            self._writer = asyncio.get_running_loop().create_task(self._write(), name="relay store")

    async def _write(self) -> None:
        """Write batches until nothing waits."""
        try:
            while self._waiting or self._doomed:
                if not self._waiting:
                    await self._pause(FORGET_AFTER_S)
                if not self._closing:
                    self._arrived.clear()
                waiting, self._waiting = self._waiting, []
                doomed, self._doomed = self._doomed, []
                now = time.time()
                try:
                    await self._run(self._commit, [row[:3] for row in waiting], doomed, now)
                except StoreUnavailable as error:
                    tell((kept, error) for _, _, _, kept in waiting)
                    self._doomed += doomed
                    await self._pause(RETRY_S)
                    if self._closing and not self._waiting:
                        return  # it may come again
                    continue
                for id, session, _, _ in waiting:
                    self._shelve(id, session, now)
                tell((kept, id) for id, _, _, kept in waiting)
                if now - self._last_sweep > SWEEP_EVERY_S:
                    self._sweep(now)
        finally:
            self._writer = None

    async def _pause(self, seconds: float) -> None:
        """Until something is to be written at once, or for a time."""
        if not self._closing:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._arrived.wait()

    def _shelve(self, id: int, session: str, now: float) -> None:
        shelf = self._shelves.get(session)
        if shelf is None:
            shelf = self._shelves[session] = _Shelf()
        shelf.ids.append(id)
        shelf.last = now
        while len(shelf.ids) > MAX_IN_SESSION and session != QUEUE:
            self._doomed.append(shelf.ids.pop(0))

    def _sweep(self, now: float) -> None:
        """Forget what nobody fetched for long."""
        self._last_sweep = now
        for session, shelf in list(self._shelves.items()):
            if session != QUEUE and shelf.last < now - IDLE_LIFE_S:
                self._doomed += shelf.ids
                del self._shelves[session]

    async def _run(self, act: Callable[..., T], *arguments: object) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, act, *arguments)
        except Exception as error:  # whatever it is, those who wait have to hear of it
            raise StoreUnavailable(f"the relay's store failed: {error}") from error

    # -- in the thread ------------------------------------------------------------------------------------------------

    def _load(self) -> int:
        """Learn what is in the file; the highest id."""
        highest = int(FIRST)
        for highest, session, stored in self._db.execute(
            "SELECT id, session, stored FROM message ORDER BY id"
        ):
            self._shelve(highest, session, stored)
        return highest

    def _commit(self, messages: list[tuple[int, str, bytes]], doomed: list[int], now: float) -> None:
        with self._db:
            for start in range(0, len(messages), MOST_ROWS):
                values: list[object] = []
                for id, session, body in messages[start : start + MOST_ROWS]:
                    values += (id, session, now, body)
                rows = len(values) // 4
                self._db.execute(INSERT + ROW + f", {ROW}" * (rows - 1), values)
            few: list[int] = []
            for first, last in _ranges(doomed):
                if last - first < LONG_RANGE:
                    few += range(first, last + 1)
                else:
                    self._db.execute(DELETE_RANGE, (first, last))
            if few:
                self._db.execute(DELETE, (_as_json(few),))

    def _select(self, ids: array[int]) -> list[tuple[int, bytes]]:
        return self._db.execute(SELECT, (_as_json(ids),)).fetchall()


def _ranges(ids: list[int]) -> list[tuple[int, int]]:
    """First and last of what follows each other without a gap."""
    ranges: list[tuple[int, int]] = []
    for id in sorted(ids):
        if ranges and ranges[-1][1] == id - 1:
            ranges[-1] = (ranges[-1][0], id)
        else:
            ranges.append((id, id))
    return ranges


def _as_json(ids: Iterable[int]) -> str:
    return f"[{','.join(map(str, ids))}]"


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, timeout=10, cached_statements=2 * MOST_ROWS)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.executescript(SCHEMA)
    connection.commit()
    return connection
