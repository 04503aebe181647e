"""All or nothing, also when SQLite has ended the transaction by itself."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

from oio.service.transaction import writing


@pytest.fixture
def connection(tmp_path: Path) -> apsw.Connection:
    made = apsw.Connection(str(tmp_path / "file"))
    made.execute("CREATE TABLE rows(x UNIQUE)")
    return made


def _count(connection: apsw.Connection) -> int:
    return int(next(iter(connection.execute("SELECT count(*) FROM rows")))[0])


def test_what_fails_leaves_nothing_and_the_next_goes_on(connection: apsw.Connection) -> None:
    with pytest.raises(apsw.ConstraintError), writing(connection):
        connection.executemany("INSERT INTO rows VALUES(?)", [(1,), (1,)])
    assert _count(connection) == 0
    with writing(connection):
        connection.execute("INSERT INTO rows VALUES(1)")
    assert _count(connection) == 1


def test_a_transaction_that_sqlite_rolled_back_keeps_its_own_error(connection: apsw.Connection) -> None:
    connection.execute("INSERT INTO rows VALUES(1)")
    with pytest.raises(apsw.ConstraintError, match="UNIQUE"), writing(connection):
        connection.execute("INSERT OR ROLLBACK INTO rows VALUES(1)")
    with writing(connection):
        connection.execute("INSERT INTO rows VALUES(2)")
    assert _count(connection) == 2
