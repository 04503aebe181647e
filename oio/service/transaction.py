"""A transaction that writes, on a connection of apsw."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import apsw


@contextmanager
def writing(connection: apsw.Connection) -> Iterator[None]:
    """All of it or nothing, with the file's lock from the beginning.  Raises apsw.BusyError, and what else SQLite says.

    Not apsw's own `with connection`: that one waits for a lock, and for the disk, while it holds Python's, so that a
    thread of the same process that has the lock cannot give it back.
    """
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        if connection.in_transaction:  # a full disk ends it by itself
            connection.execute("ROLLBACK")
        raise
