"""SQLite as the database of a store."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dynamo.core.components.impl.database import Row
from dynamo.dataformat import IntegrityError, OperationalError

BUSY_S = 30.0
"""How long to wait for another process that writes, in seconds."""


class SQLiteDatabase:
    """A connection to a database file.  Commits are on the disk when they return.

    The connection may be closed between transactions and comes back by itself: SQLite's locks do not survive a fork,
    so a process that forks has to close first.
    """

    clock = "CAST(strftime('%s', 'now') AS INTEGER)"

    def __init__(self, path: Path, read_only: bool = False) -> None:
        """Raises OperationalError when the file cannot be opened."""
        self.path = path
        self._read_only = read_only
        self._opened: sqlite3.Connection | None = None
        with self._errors():
            self._open()

    def _open(self) -> sqlite3.Connection:
        mode = "ro" if self._read_only else "rwc"
        connection = sqlite3.connect(
            f"file:{quote(str(self.path))}?mode={mode}", uri=True, timeout=BUSY_S, isolation_level=None
        )
        connection.execute("PRAGMA foreign_keys = ON")
        if not self._read_only:
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = FULL")
        self._opened = connection
        return connection

    @property
    def _connection(self) -> sqlite3.Connection:
        return self._opened or self._open()

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.IntegrityError as error:
            raise IntegrityError(f"{self.path} refuses a row: {error}") from None
        except sqlite3.Error as error:
            raise OperationalError(f"Database {self.path} cannot be used: {error}") from None

    def change(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        with self._errors():
            return self._connection.execute(statement, parameters).rowcount

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        with self._errors():
            return self._connection.execute(statement, parameters).lastrowid or 0

    def execute_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        with self._errors():
            self._connection.executemany(statement, rows)

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> Iterator[Row]:
        with self._errors():
            yield from self._connection.execute(statement, parameters)

    def begin(self) -> None:
        self.execute("BEGIN IMMEDIATE")

    def begin_snapshot(self) -> None:
        self.execute("BEGIN")
        for _ in self.rows("SELECT count(*) FROM sqlite_master"):
            pass

    def commit(self) -> None:
        self.execute("COMMIT")

    def rollback(self) -> None:
        if self._opened is not None and self._opened.in_transaction:
            self.execute("ROLLBACK")

    def show_life(self, name: str) -> None:
        """Say nothing: a file knows nobody who has it open."""

    def shows_life(self, name: str) -> bool:
        return True

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None
