"""One base: one SQLite file with its data, its log and its counters. Blocking; call it from one thread at a time."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw

from oio.naming import BaseName
from oio.service import changeset, versions
from oio.service.replica import Entry, Facts, configs_in_force
from oio.service.schemas import ADMIN, LOG, schema_of
from oio.service.transaction import writing

Result = TypeVar("Result")

KEPT_ENTRIES: Final = 4096
"""Committed entries that stay in the log, so that a peer that was away is brought up without a whole copy."""

PAGE_SIZE: Final = 4096
CACHE_KIB: Final = 512
"""Pages of one base that stay in memory: many bases are open at once, and the kernel keeps their files as well."""


class CorruptBase(Exception):
    """The file is no usable base: damaged, cut, or of another kind; `path` names it."""

    def __init__(self, path: Path, why: str) -> None:
        super().__init__(f"{path} is damaged: {why}")
        self.path = path


class Base:
    """A base that is open. Implements `replica.Log`; every method that writes is on disk when it returns."""

    def __init__(self, path: Path, name: BaseName, connection: apsw.Connection) -> None:
        self.path = path
        self.name = name
        self._connection = connection
        self._tables = ("admin", *schema_of(name.type).tables)

    @classmethod
    def create(cls, path: Path, name: BaseName, admin: Mapping[str, str], born: int = 1) -> Base:
        """Make an empty base with these rows of `admin`; FileExistsError when there is one.

        `born` tells this base from another one that has or had the same name.

        It is built beside its place and renamed, so that a file under the final name is always complete.
        """
        if path.exists():
            raise FileExistsError(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        building = path.with_name(path.name + f".new-{os.getpid()}")
        building.unlink(missing_ok=True)
        schema = schema_of(name.type)
        connection = apsw.Connection(str(building))
        try:
            connection.pragma("page_size", PAGE_SIZE)
            connection.pragma("journal_mode", "DELETE")
            connection.pragma("synchronous", "FULL")
            rows = {"schema_version": schema.version, "sys.name": name.name, "sys.type": name.type, **admin}
            rows |= {f"{versions.PREFIX}{table}": "1:0" for table in ("admin", *schema.tables)}
            with writing(connection):
                connection.execute(ADMIN + schema.sql + LOG)
                connection.executemany("INSERT INTO admin(k, v) VALUES(?, ?)", sorted(rows.items()))
                counters = [("promised", 0), ("committed", 0), ("born", born)]
                connection.executemany("INSERT INTO replica(k, v) VALUES(?, ?)", counters)
        finally:
            connection.close()
        os.rename(building, path)
        sync_directory(path.parent)
        return cls.open(path, name)

    @classmethod
    def open(cls, path: Path, name: BaseName) -> Base:
        """Open a base; FileNotFoundError when there is none, CorruptBase when it cannot be read."""
        if not path.exists():
            raise FileNotFoundError(path)
        try:
            connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
            connection.set_busy_timeout(5000)
            connection.pragma("journal_mode", "WAL")
            connection.pragma("synchronous", "FULL")
            connection.pragma("foreign_keys", "OFF")
            connection.pragma("cache_size", -CACHE_KIB)
            broken = [row[0] for row in connection.execute("PRAGMA quick_check(1)") if row[0] != "ok"]
            base = cls(path, name, connection)
            base.facts()
        except (apsw.NotADBError, apsw.CorruptError, apsw.SQLError, KeyError) as error:
            raise CorruptBase(path, str(error)) from error
        if broken:
            connection.close()
            raise CorruptBase(path, broken[0])
        stored = base.admin().get("sys.name"), base.admin().get("sys.type")
        if stored[1] != name.type:
            connection.close()
            raise CorruptBase(path, f"it is a base of type {stored[1]}")
        return base

    def close(self) -> None:
        """Close the file; the object cannot be used afterwards."""
        self._connection.close()

    def born(self) -> int:
        """The number that all copies of this base have, and no other base of its name."""
        return int(next(iter(self._rows("SELECT v FROM replica WHERE k='born'")))[0])

    # -- replica.Log

    def facts(self) -> Facts:
        counters: dict[str, int] = dict(self._rows("SELECT k, v FROM replica"))
        last = next(iter(self._rows("SELECT seq, epoch FROM changes ORDER BY seq DESC LIMIT 1")), None)
        committed = int(counters["committed"])
        seq, epoch = last if last is not None else (committed, int(counters.get("epoch", 0)))
        return Facts(int(counters["promised"]), committed, max(int(seq), committed), int(epoch))

    def epoch_at(self, seq: int) -> int | None:
        if seq == 0:
            return 0
        found = next(iter(self._rows("SELECT epoch FROM changes WHERE seq=?", (seq,))), None)
        return None if found is None else int(found[0])

    def promise(self, token: int) -> None:
        with writing(self._connection):
            self._connection.execute("UPDATE replica SET v=max(v, ?) WHERE k='promised'", (token,))

    def replace_tail(self, token: int, entries: Sequence[Entry]) -> None:
        rows = [
            (e.seq, e.epoch, e.change, None if e.peers is None else ",".join(sorted(e.peers)))
            for e in entries
        ]
        with writing(self._connection):
            self._connection.execute("UPDATE replica SET v=max(v, ?) WHERE k='promised'", (token,))
            self._connection.execute("DELETE FROM changes WHERE seq>=?", (entries[0].seq,))
            self._connection.executemany(
                "INSERT INTO changes(seq, epoch, changeset, peers) VALUES(?,?,?,?)", rows
            )

    def commit(self, seq: int) -> None:
        """Apply entries up to `seq` and forget the oldest; ChangeConflict when one does not fit."""
        done = self.facts().committed
        if seq <= done:
            return
        with writing(self._connection):
            for entry in self.entries(done + 1, seq):
                if entry.change:
                    changeset.apply(self._connection, entry.change)
            self._connection.execute("UPDATE replica SET v=? WHERE k='committed'", (seq,))
            self._connection.execute("DELETE FROM changes WHERE seq<=?", (seq - KEPT_ENTRIES,))

    def configs(self) -> tuple[frozenset[str], ...]:
        return configs_in_force(self.peers(), self.entries(self.facts().committed + 1))

    # -- the log as the master needs it

    def entries(self, first: int, last: int | None = None) -> list[Entry]:
        """Entries from `first` on, up to `last`."""
        rows = self._rows(
            "SELECT seq, epoch, changeset, peers FROM changes WHERE seq>=? AND seq<=? ORDER BY seq",
            (first, last if last is not None else 1 << 62),
        )
        return [Entry(s, e, c, None if p is None else frozenset(p.split(","))) for s, e, c, p in rows]

    def record(self, act: Callable[[apsw.Connection], Result]) -> tuple[bytes, Result]:
        """What `act` would change, with the counters of the changed tables; the base itself stays as it is."""
        return changeset.record(self._connection, self._tables, act, self._bump)

    def read(self, act: Callable[[apsw.Connection], Result]) -> Result:
        """Run `act` over one consistent view of what is committed."""
        self._connection.execute("BEGIN")
        try:
            return act(self._connection)
        finally:
            self._connection.execute("ROLLBACK")

    # -- properties and files

    def admin(self) -> dict[str, str]:
        """Rows of `admin`."""
        rows = self._rows("SELECT k, v FROM admin")
        return {k: v.decode("utf-8", "replace") if isinstance(v, bytes) else str(v) for k, v in rows}

    def peers(self) -> frozenset[str]:
        """The peers that the base itself names."""
        return frozenset(filter(None, self.admin().get("sys.peers", "").split(",")))

    def statistics(self) -> dict[str, str]:
        """Pages of the file: count, free ones, size of one in bytes."""
        return {
            f"stats.{name}": str(self._connection.pragma(name))
            for name in ("page_count", "freelist_count", "page_size")
        }

    def vacuum(self) -> None:
        """Give free pages back to the file system; changes no counter."""
        self._connection.execute("VACUUM")

    def dump(self, target: Path, with_tail: bool = False) -> None:
        """Write a consistent copy to `target`, through the page-wise backup interface.

        The copy holds what is committed and, `with_tail`, the entries of the log that are not committed yet.
        """
        target.unlink(missing_ok=True)
        copy = apsw.Connection(str(target))
        try:
            with copy.backup("main", self._connection, "main") as backup:
                while not backup.done:
                    backup.step(1024)
            if not with_tail:
                with copy:
                    copy.execute("DELETE FROM changes WHERE seq>(SELECT v FROM replica WHERE k='committed')")
            copy.pragma("journal_mode", "DELETE")
        finally:
            copy.close()

    def _bump(self, connection: apsw.Connection, changed: frozenset[str]) -> None:
        counters = versions.bump(versions.parse(self.admin()), changed)
        for table, number in counters.items():
            connection.execute(
                "INSERT OR REPLACE INTO admin(k, v) VALUES(?, ?)",
                (f"{versions.PREFIX}{table}", f"{number}:0"),
            )

    def _rows(self, sql: str, bindings: tuple[apsw.SQLiteValue, ...] = ()) -> list[tuple[Any, ...]]:
        return list(self._connection.execute(sql, bindings))


def sync_directory(path: Path) -> None:
    """Make a rename inside `path` durable."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def remove_files(path: Path) -> bool:
    """Delete a base and what SQLite keeps beside it; whether there was one."""
    present = path.exists()
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    if path.parent.exists():
        sync_directory(path.parent)
    return present
