"""Leases in one SQLite file, for all services of one machine.

Expiry is counted on the machine's clock since boot, so that setting the time changes nothing; rows of an earlier boot
have expired. Services never make the file: a second one, made while the first still counts somewhere, could name a
second holder.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

import apsw

from oio.service.lease.base import Lease, LeaseError, LeaseStore, address_of
from oio.service.transaction import writing

BUSY_MS: Final = 10_000
"""How long a process waits for the others that write the file: each syncs it, which takes seconds on a busy disk."""
T = TypeVar("T")

_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS leases(key TEXT PRIMARY KEY NOT NULL, holder TEXT NOT NULL, token INTEGER NOT NULL,
  expires REAL NOT NULL, boot TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS counter(only INTEGER PRIMARY KEY CHECK(only = 1), token INTEGER NOT NULL);
"""


def make_lease_file(path: Path) -> None:
    """Make the file unless it is there. Its first token is the time in µs, so that it is above those of a lost one."""
    connection = apsw.Connection(str(path))
    try:
        connection.set_busy_timeout(BUSY_MS)
        _make_durable(connection)
        with writing(connection):
            connection.execute(_SCHEMA)
            first = time.time_ns() // 1000
            connection.execute("INSERT OR IGNORE INTO counter(only, token) VALUES(1, ?)", (first,))
    finally:
        connection.close()


def clock() -> float:
    """Seconds since boot, the same in every process of the machine, running on while a process is stopped."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


def boot_id() -> str:
    """Identity of this boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _make_durable(connection: apsw.Connection) -> None:
    connection.pragma("journal_mode", "WAL")
    connection.pragma("synchronous", "FULL")


class SqliteLeases(LeaseStore):
    """The store over the file `path`; `now` is injectable for tests."""

    def __init__(self, path: Path, now: Callable[[], float] = clock) -> None:
        self._path = path
        self._now = now
        self._boot = boot_id()
        self._lock = threading.Lock()
        self._connection: apsw.Connection | None = None
        self._file = (0, 0)

    async def acquire(self, key: str, holder: str, ttl: float, above: int = 0) -> Lease:
        return await self._run(lambda db: self._acquire(db, key, holder, ttl, above))

    async def renew(self, lease: Lease, ttl: float) -> Lease | None:
        def act(db: apsw.Connection) -> Lease | None:
            expires = self._now() + ttl
            db.execute(
                "UPDATE leases SET expires=? WHERE key=? AND token=? AND boot=?",
                (expires, lease.key, lease.token, self._boot),
            )
            return Lease(lease.key, lease.holder, lease.token, expires) if db.changes() else None

        return await self._run(act)

    async def release(self, lease: Lease) -> None:
        def act(db: apsw.Connection) -> None:
            db.execute("UPDATE leases SET expires=0 WHERE key=? AND token=?", (lease.key, lease.token))

        await self._run(act)

    async def close(self) -> None:
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _acquire(self, db: apsw.Connection, key: str, holder: str, ttl: float, above: int) -> Lease:
        now = self._now()
        row = next(
            iter(db.execute("SELECT holder, token, expires, boot FROM leases WHERE key=?", (key,))), None
        )
        if row is not None:
            held_by, token, expires, boot = str(row[0]), int(row[1]), float(row[2]), str(row[3])
            alive = boot == self._boot and expires > now
            if alive and (held_by == holder or address_of(held_by) != address_of(holder)):
                return Lease(key, held_by, token, expires)
        db.execute("UPDATE counter SET token=max(token, ?)+1", (above,))
        token = int(next(iter(db.execute("SELECT token FROM counter")))[0])
        db.execute(
            "INSERT OR REPLACE INTO leases(key, holder, token, expires, boot) VALUES(?,?,?,?,?)",
            (key, holder, token, now + ttl, self._boot),
        )
        return Lease(key, holder, token, now + ttl)

    async def _run(self, act: Callable[[apsw.Connection], T]) -> T:
        return await asyncio.to_thread(self._locked, act)

    def _locked(self, act: Callable[[apsw.Connection], T]) -> T:
        with self._lock:
            try:
                found = self._path.stat()
                if self._file != (found.st_dev, found.st_ino):
                    self._let_go()
                if self._connection is None:
                    self._connection = self._open()
                    self._file = (found.st_dev, found.st_ino)
                with writing(self._connection):
                    result = act(self._connection)
                return result
            except FileNotFoundError as error:
                self._let_go()
                raise LeaseError(
                    f"lease file {self._path} is missing; `oio-directory up` makes it"
                ) from error
            except (apsw.Error, OSError) as error:
                self._let_go()
                raise LeaseError(f"lease file {self._path}: {error}") from error

    def _let_go(self) -> None:
        broken, self._connection = self._connection, None
        if broken is not None:
            broken.close()

    def _open(self) -> apsw.Connection:
        connection = apsw.Connection(str(self._path), flags=apsw.SQLITE_OPEN_READWRITE)
        connection.set_busy_timeout(BUSY_MS)
        _make_durable(connection)
        with writing(connection):
            connection.execute("DELETE FROM leases WHERE boot<>?", (self._boot,))
        return connection
