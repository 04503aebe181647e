"""Changesets of SQLite sessions: what a transaction changed, as bytes that another copy can apply."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import apsw

Result = TypeVar("Result")


class ChangeConflict(Exception):
    """A changeset does not fit the copy it is applied to: the copies have diverged, the copy must be replaced."""


def record(
    connection: apsw.Connection,
    tables: tuple[str, ...],
    act: Callable[[apsw.Connection], Result],
    finish: Callable[[apsw.Connection, frozenset[str]], None],
) -> tuple[bytes, Result]:
    """Run `act` and take what it changed; the base is left as it was.

    `finish` is called with the names of the changed tables before the changeset is taken, unless nothing changed.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        session = apsw.Session(connection, "main")
        try:
            for table in tables:
                session.attach(table)
            result = act(connection)
            if session.is_empty:
                return b"", result
            finish(connection, changed_tables(session.changeset()))
            return session.changeset(), result
        finally:
            session.close()
    finally:
        connection.execute("ROLLBACK")


def changed_tables(change: bytes) -> frozenset[str]:
    """Names of the tables that a changeset touches."""
    return frozenset(row.name for row in apsw.Changeset.iter(change))


def apply(connection: apsw.Connection, change: bytes) -> None:
    """Apply a changeset inside the transaction that is open; ChangeConflict when it does not fit."""

    def refuse(_reason: int, _change: object) -> int:
        return apsw.SQLITE_CHANGESET_ABORT

    try:
        apsw.Changeset.apply(change, connection, conflict=refuse)
    except (apsw.AbortError, apsw.ConstraintError) as error:
        raise ChangeConflict(str(error)) from error
