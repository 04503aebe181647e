"""A store in one SQLite file: for a relay that runs alone, without Redis.

Whatever arrives while a transaction is being written goes into the next one, so that one `fsync` serves all messages of
a few milliseconds.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from rmb.relay.stores.message_store import IDLE_LIFE_S, MAX_IN_SESSION, Id, StoreUnavailable

T = TypeVar("T")

SCHEMA = """
CREATE TABLE IF NOT EXISTS message (
    id INTEGER PRIMARY KEY AUTOINCREMENT, session TEXT NOT NULL, stored REAL NOT NULL, body BLOB NOT NULL
);
CREATE INDEX IF NOT EXISTS message_by_session ON message (session, id);
"""
INSERT = "INSERT INTO message (session, stored, body) VALUES "
ROW = "(?, ?, ?)"
MOST_ROWS = 128
"""Rows that one statement inserts; their ids follow each other."""
DELETE = "DELETE FROM message WHERE id IN (SELECT value FROM json_each(?))"
QUEUE = ""
"""The session of messages for other relays; no twin has an empty name."""
MAX_WAITING = 100_000
"""Messages that may wait for the disk."""
SWEEP_EVERY_S = 60.0
TRIM_EVERY = 256
"""Messages for one session after which its oldest are looked for: so many more than `MAX_IN_SESSION` may be kept."""
FORGET_AFTER_S = 0.05
"""How long what was delivered may wait for a transaction that new messages need anyway."""
QUEUE_PAUSE_S = 0.5


class SqliteStore:
    """Implements `MessageStore`."""

    def __init__(self, path: Path) -> None:
        """Raises StoreUnavailable when the file cannot be used."""
        self._thread = ThreadPoolExecutor(1, "relay-store")
        self._waiting: list[tuple[str, bytes, asyncio.Future[Id]]] = []
        self._doomed: list[Id] = []
        self._dying: set[Id] = set()
        """What is to be forgotten and may still be in the file."""
        self._writer: asyncio.Task[None] | None = None
        self._taken: set[Id] = set()
        self._queued = asyncio.Event()
        self._arrived = asyncio.Event()
        """Something is to be written at once."""
        self._closing = False
        self._since_trim: Counter[str] = Counter()
        """Messages of a session since its oldest were looked for (in the thread)."""
        self._last_sweep = 0.0
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._db = self._thread.submit(_open, path).result()
        except (sqlite3.Error, OSError) as error:
            raise StoreUnavailable(f"cannot keep messages in {path}: {error}") from error

    def append(self, session: str, message: bytes) -> asyncio.Future[Id]:
        future: asyncio.Future[Id] = asyncio.get_running_loop().create_future()
        if len(self._waiting) >= MAX_WAITING:
            future.set_exception(StoreUnavailable(f"{MAX_WAITING} messages wait for the disk already"))
            return future
        self._waiting.append((session, message, future))
        self._arrived.set()
        self._wake()
        return future

    async def read(self, session: str, after: Id, count: int) -> list[tuple[Id, bytes]]:
        rows = await self._run(self._select, session, int(after), count + len(self._dying))
        found = [(str(number), bytes(body)) for number, body in rows]
        return [row for row in found if row[0] not in self._dying][:count]

    def delete(self, session: str, ids: list[Id]) -> None:
        if ids:
            self._dying.update(ids)
            self._doomed += ids
            self._wake()

    def queue(self, message: bytes) -> asyncio.Future[Id]:
        future = self.append(QUEUE, message)
        future.add_done_callback(lambda _: self._queued.set())
        return future

    async def take(self, count: int) -> list[tuple[Id, bytes]]:
        self._queued.clear()
        rows = await self.read(QUEUE, "0", count + len(self._taken))
        fresh = [row for row in rows if row[0] not in self._taken][:count]
        if not fresh:
            try:
                async with asyncio.timeout(QUEUE_PAUSE_S):
                    await self._queued.wait()
            except TimeoutError:
                pass
            return []
        self._taken.update(number for number, _ in fresh)
        return fresh

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
        if self._writer is None:
            self._writer = asyncio.get_running_loop().create_task(self._write(), name="relay store")

    async def _write(self) -> None:
        """Write batches until nothing waits."""
        try:
            while self._waiting or self._doomed:
                if not self._waiting and not self._closing:
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(FORGET_AFTER_S):
                            await self._arrived.wait()
                if not self._closing:
                    self._arrived.clear()
                waiting, self._waiting = self._waiting, []
                doomed, self._doomed = self._doomed, []
                try:
                    ids = await self._run(
                        self._commit, [(session, body) for session, body, _ in waiting], doomed
                    )
                except StoreUnavailable as error:
                    self._dying.difference_update(doomed)  # they may come again
                    self._taken.difference_update(doomed)
                    for _, _, future in waiting:
                        if not future.done():
                            future.set_exception(error)
                    continue
                self._dying.difference_update(doomed)
                self._taken.difference_update(doomed)
                for (_, _, future), number in zip(waiting, ids, strict=True):
                    if not future.done():
                        future.set_result(number)
        finally:
            self._writer = None

    async def _run(self, act: Callable[..., T], *arguments: object) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, act, *arguments)
        except Exception as error:  # whatever it is, those who wait have to hear of it
            raise StoreUnavailable(f"the relay's store failed: {error}") from error

    # -- in the thread ------------------------------------------------------------------------------------------------

    def _commit(self, messages: list[tuple[str, bytes]], doomed: list[Id]) -> list[Id]:
        now = time.time()
        with self._db:
            ids = self._insert(messages, now)
            if doomed:
                self._db.execute(DELETE, (f"[{','.join(doomed)}]",))
            sweep = now - self._last_sweep > SWEEP_EVERY_S
            for session in self._to_trim(messages, everyone=sweep):
                self._db.execute(
                    "DELETE FROM message WHERE session = ?1 AND id <= (SELECT id FROM message WHERE session = ?1"
                    " ORDER BY id DESC LIMIT 1 OFFSET ?2)",
                    (session, MAX_IN_SESSION),
                )
            if sweep:
                self._last_sweep = now
                self._db.execute(
                    "DELETE FROM message WHERE session IN (SELECT session FROM message WHERE session != ''"
                    " GROUP BY session HAVING max(stored) < ?)",
                    (now - IDLE_LIFE_S,),
                )
        return ids

    def _insert(self, messages: list[tuple[str, bytes]], now: float) -> list[Id]:
        """Many rows with each statement: after every one the thread has to wait for Python's lock."""
        ids: list[Id] = []
        while left := len(messages) - len(ids):
            size = min(
                MOST_ROWS, 1 << (left.bit_length() - 1)
            )  # few sizes, so that statements are kept ready
            values: list[object] = []
            for session, body in messages[len(ids) : len(ids) + size]:
                values += (session, now, body)
            last = self._db.execute(INSERT + ROW + f", {ROW}" * (size - 1), values).lastrowid
            assert last is not None
            ids += map(str, range(last - size + 1, last + 1))
        return ids

    def _to_trim(self, messages: list[tuple[str, bytes]], *, everyone: bool) -> list[str]:
        """Sessions whose oldest are to be looked for, which takes longer than to keep a message: those that got many
        since the last time, or now and then everyone who got any."""
        counts = self._since_trim
        counts.update(session for session, _ in messages if session != QUEUE)
        chosen = (
            list(counts) if everyone else [s for s in {s for s, _ in messages} if counts[s] >= TRIM_EVERY]
        )
        for session in chosen:
            del counts[session]
        return chosen

    def _select(self, session: str, after: int, count: int) -> list[tuple[int, bytes]]:
        return self._db.execute(
            "SELECT id, body FROM message WHERE session = ? AND id > ? ORDER BY id LIMIT ?",
            (session, after, count),
        ).fetchall()


def _open(path: Path) -> sqlite3.Connection:
    connection = sqlite3.connect(path, check_same_thread=False, timeout=10)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.executescript(SCHEMA)
    connection.commit()
    return connection
