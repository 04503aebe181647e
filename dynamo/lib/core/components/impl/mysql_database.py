"""MariaDB as the database of a store."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pymysql
from pymysql.connections import Connection
from pymysql.constants import CLIENT
from pymysql.cursors import Cursor

from dynamo.core.components.impl.database import OutcomeUnknown, Row
from dynamo.core.secrets import remember
from dynamo.dataformat import ConfigurationError, IntegrityError, OperationalError

CONNECT_S = 10
"""How long to wait for a connection, in seconds."""
ANSWER_S = 600
"""How long to wait for an answer, in seconds."""
ROWS_AT_ONCE = 10_000
SETTLED_S = 10.0
"""How long after its own connection was made one does not trust that nobody else has one, in seconds."""

_SESSION = (
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES,NO_AUTO_VALUE_ON_ZERO', tx_isolation = 'REPEATABLE-READ'"
)
_READ_ONLY = f"{_SESSION}, tx_read_only = 1"

_KEYS = {"host", "port", "socket", "user", "passwd", "db", "read_only"}
_IGNORED = {"scratch_db", "reuse_connection", "max_query_len"}
"""Parameters of older configurations that have nothing to say any more."""


class MySQLDatabase:
    """A connection to a database of a MariaDB server.  A commit is on its disk when it returns."""

    clock = "UNIX_TIMESTAMP()"
    answer_s = ANSWER_S

    def __init__(self, params: dict[str, Any]) -> None:
        """`params`: db, user, passwd, and socket or host and port; `read_only`.

        Raises ConfigurationError for unknown parameters, OperationalError when there is no server.
        """
        unknown = set(params) - _KEYS - _IGNORED
        if unknown or "db" not in params:
            raise ConfigurationError(
                f"A MariaDB connection is described by {', '.join(sorted(_KEYS))}, not by {sorted(params)}"
            )
        where = params.get("socket") or f"{params.get('host', 'localhost')}:{params.get('port', 3306)}"
        self._where = f"{params['db']} at {where}"
        self._in_transaction = False
        self._lost = False
        self._params = params
        self._sign = ""
        self._sign_is_given = False
        self._since = 0.0
        with self._errors():
            self._connection = self._connect()

    def _target(self) -> dict[str, Any]:
        """The parameters of the server to connect to now."""
        return self._params

    def _connect(self) -> Connection[Cursor]:
        params = self._target()
        connection = pymysql.connect(
            host=params.get("host", "localhost"),
            port=int(params.get("port", 3306)),
            unix_socket=params.get("socket"),
            user=params.get("user"),
            password=params.get("passwd", ""),
            database=params["db"],
            charset="utf8mb4",
            autocommit=True,
            connect_timeout=CONNECT_S,
            read_timeout=self.answer_s,
            write_timeout=self.answer_s,
            init_command=_READ_ONLY if params.get("read_only") else _SESSION,
            client_flag=CLIENT.FOUND_ROWS,
        )
        remember(connection.password)  # a copy in another form
        self._since = time.monotonic()
        if self._sign:
            self._give_sign(connection)
        return connection

    def _give_sign(self, connection: Connection[Cursor]) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT GET_LOCK(%s, 0)", (self._lock_of(self._sign),))
            ((given,),) = cursor.fetchall()
        # A connection of before, which the server has not missed yet, may have it; then it is asked for again.
        self._sign_is_given = given == 1

    def _lock_of(self, name: str) -> str:
        """A lock that ends with the connection.  Locks belong to all databases of a MariaDB."""
        db = self._params["db"]
        return f"dynamo-{hashlib.sha256(f'{db}/{name}'.encode()).hexdigest()[:40]}"

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except pymysql.IntegrityError as error:
            raise IntegrityError(f"Database {self._where} refuses a row: {error}") from None
        except pymysql.Error as error:
            self._lost = True
            raise OperationalError(f"Database {self._where} cannot be used: {error}") from None

    def _ready(self) -> Connection[Cursor]:
        if self._lost and not self._in_transaction:
            if self._connection.open:
                self._connection.close()
            self._connection = self._connect()
            self._lost = False
        return self._connection

    def change(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        with self._errors(), self._ready().cursor() as cursor:
            return int(cursor.execute(statement.replace("?", "%s"), list(parameters)))

    def execute(self, statement: str, parameters: Sequence[Any] = ()) -> int:
        with self._errors(), self._ready().cursor() as cursor:
            cursor.execute(statement.replace("?", "%s"), list(parameters))
            return int(cursor.lastrowid or 0)

    def execute_many(self, statement: str, rows: Iterable[Sequence[Any]]) -> None:
        with self._errors(), self._ready().cursor() as cursor:
            batch: list[Sequence[Any]] = []
            for row in rows:
                batch.append(row)
                if len(batch) == ROWS_AT_ONCE:
                    cursor.executemany(statement.replace("?", "%s"), batch)
                    batch = []
            if batch:
                cursor.executemany(statement.replace("?", "%s"), batch)

    def rows(self, statement: str, parameters: Sequence[Any] = ()) -> Iterator[Row]:
        with self._errors(), self._ready().cursor() as cursor:
            cursor.execute(statement.replace("?", "%s"), list(parameters))
            while found := cursor.fetchmany(ROWS_AT_ONCE):
                yield from found

    def begin(self) -> None:
        self.execute("START TRANSACTION")
        self._in_transaction = True

    def begin_snapshot(self) -> None:
        self.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT")
        self._in_transaction = True

    def commit(self) -> None:
        self._in_transaction = False
        try:
            with self._errors():
                self._connection.commit()
        except OperationalError as error:
            raise OutcomeUnknown(f"{error}; whether the last changes were kept is not known") from None

    def rollback(self) -> None:
        self._in_transaction = False
        with self._errors():
            self._connection.rollback()

    def show_life(self, name: str) -> None:
        if self._sign != name or not self._sign_is_given or self._lost:
            self._sign = name
            with self._errors():
                self._give_sign(self._ready())

    def shows_life(self, name: str) -> bool:
        ((free,),) = list(self.rows("SELECT IS_FREE_LOCK(?)", (self._lock_of(name),)))
        # When a database was away, everybody connects anew, and some are later than others.
        return not free or time.monotonic() - self._since < SETTLED_S

    def close(self) -> None:
        if self._connection.open:
            self._connection.close()
