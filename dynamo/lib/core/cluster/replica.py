"""One MariaDB of the group that holds the shared database: asked, made to follow another one, or to lead.

The group uses MariaDB's own replication by GTID.  Its leader commits when another one has the transaction too
(semi-synchronous, without a limit), so that nothing that was acknowledged is lost with one machine.  What each of them
has promised lies in a database of its own, `dynamolocal`, which is not replicated.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pymysql
from pymysql.connections import Connection
from pymysql.cursors import DictCursor

from dynamo.dataformat import OperationalError

CONNECT_S = 2
"""How long to wait for a connection, in seconds."""
LOOK_S = 3
"""How long to wait for what one says of itself, in seconds."""
ANSWER_S = 10
"""How long to wait for the answer to a change of roles, in seconds."""
LOCK_S = 5
"""How long to wait until nobody else changes roles on the same MariaDB, in seconds."""
LOCAL = "dynamolocal"
UNFINISHED = f"{LOCAL}.unfinished"
"""Table that has a row while the shared database is being replaced by a copy, also after a crash in between."""
EPOCHS = "group_epochs"
"""Table of the shared database: who began to lead in which epoch."""
FOREVER_MS = 10**9

_LOST_POSITION = (1236, 1942, 1943, 1950)
"""Errors of replication that say that the follower has what its leader has not."""


@dataclass(frozen=True, slots=True, order=True)
class Advance:
    """How far a log has come: the highest has every change that was acknowledged.

    `epoch` is that of the last leader whose first entry is in the log, `position` the number of its last transaction.
    The epoch counts first: an old leader may have any number of transactions that nobody else ever had.
    """

    epoch: int
    position: int


class Closed(OperationalError):
    """The machine answers, and no MariaDB runs there."""


class Refused(OperationalError):
    """A promise was given to somebody else meanwhile."""


@dataclass(frozen=True, slots=True)
class State:
    """What a MariaDB says of itself.

    `epoch` is the highest that was promised, `leader` whose it was; `position` counts transactions; `follows` is the
    address that it follows, if it does, `broken` an error of the connection to there, `misfit` one of applying what
    came.
    """

    name: str
    epoch: int
    leader: str
    read_only: bool
    position: int
    has_data: bool
    follows: str = ""
    runs: bool = False
    broken: int = 0
    misfit: int = 0

    @property
    def leads(self) -> bool:
        """Does it take changes?"""
        return not self.read_only

    @property
    def has_diverged(self) -> bool:
        """Does it have what the one that it follows has not, or the other way round?"""
        return self.misfit != 0 or self.broken in _LOST_POSITION


class Replica:
    """A MariaDB of the group, by the parameters of its database."""

    def __init__(self, name: str, params: dict[str, Any]) -> None:
        """`params`: db; host and port as all others reach it; user and passwd of servers, which a MariaDB that does
        not lead must refuse; admin_user and admin_passwd, who change roles and replicate.
        """
        self.name = name
        self.params = params

    @property
    def address(self) -> str:
        """Where others reach it."""
        return f"{self.params.get('host', 'localhost')}:{self.params.get('port', 3306)}"

    @contextmanager
    def connected(self, answer_s: int = ANSWER_S) -> Iterator[Connection[DictCursor]]:
        """A connection without a database.  Raises OperationalError when it cannot be reached, Closed at once."""
        params = self.params
        try:
            connection = pymysql.connect(
                host=params.get("host", "localhost"),
                port=int(params.get("port", 3306)),
                user=params["admin_user"],
                password=params.get("admin_passwd", ""),
                charset="utf8mb4",
                autocommit=True,
                connect_timeout=CONNECT_S,
                read_timeout=answer_s,
                write_timeout=answer_s,
                cursorclass=DictCursor,
                init_command="SET SESSION sql_log_bin = 0",
            )
        except pymysql.Error as error:
            cause = getattr(error, "original_exception", None)
            kind = Closed if isinstance(cause, ConnectionRefusedError) else OperationalError
            raise kind(f"MariaDB {self.name} at {self.address}: {error}") from None
        try:
            yield connection
        except pymysql.Error as error:
            raise OperationalError(f"MariaDB {self.name} at {self.address}: {error}") from None
        finally:
            if connection.open:
                connection.close()

    def state(self) -> State:
        """What it says of itself.  Raises OperationalError when it cannot be reached, Closed when it does not run."""
        with self.connected(LOOK_S) as connection:
            ensure_local(connection)
            (own,) = rows(connection, f"SELECT epoch, leader FROM {LOCAL}.promise")
            (values,) = rows(
                connection,
                "SELECT @@global.read_only AS ro, @@global.gtid_current_pos AS pos,"
                " (SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = %s) AS is_there,"
                f" (SELECT COUNT(*) FROM {UNFINISHED}) AS unfinished",
                self.params["db"],
            )
            found = rows(connection, "SHOW SLAVE STATUS")
            slave = found[0] if found else {}
            return State(
                self.name,
                int(own["epoch"]),
                str(own["leader"]),
                bool(values["ro"]),
                sequence_of(str(values["pos"] or "")),
                int(values["is_there"]) > 0 and not values["unfinished"],
                f"{slave['Master_Host']}:{slave['Master_Port']}" if slave else "",
                bool(slave) and "Yes" == slave["Slave_IO_Running"] == slave["Slave_SQL_Running"],
                int(slave["Last_IO_Errno"] or 0) if slave else 0,
                int(slave["Last_SQL_Errno"] or 0) if slave else 0,
            )

    def promise(self, epoch: int, candidate: str) -> Advance:
        """Promise an epoch: take no more changes, and follow nobody of an older one; how far its log has come.

        Raises Refused when it has promised this or a higher one, or is an unfinished copy.
        """
        with self.connected() as connection, roles_locked(connection):
            ensure_local(connection)
            if rows(connection, f"SELECT 1 FROM {UNFINISHED}"):
                raise Refused(f"MariaDB {self.name} is an unfinished copy, and has nothing to vouch for")
            changed = run(
                connection,
                f"UPDATE {LOCAL}.promise SET epoch = %s, leader = '', candidate = %s WHERE epoch < %s",
                epoch,
                candidate,
                epoch,
            )
            if not changed:
                raise Refused(f"MariaDB {self.name} has promised epoch {epoch} or a higher one to others")
            run(connection, "SET GLOBAL read_only = 1")
            run(connection, "STOP SLAVE IO_THREAD")
            wait_for_relayed(connection)
            run(connection, "STOP SLAVE")
            (values,) = rows(connection, "SELECT @@global.gtid_current_pos AS pos")
            return Advance(self._logged_epoch(connection), sequence_of(str(values["pos"] or "")))

    def _logged_epoch(self, connection: Connection[DictCursor]) -> int:
        """The epoch of the last leader whose first entry is in the log; 0 before there was one."""
        is_there = rows(
            connection,
            "SELECT 1 FROM information_schema.tables WHERE table_schema = %s AND table_name = %s",
            self.params["db"],
            EPOCHS,
        )
        if not is_there:
            return 0
        (found,) = rows(
            connection, f"SELECT COALESCE(MAX(epoch), 0) AS epoch FROM `{self.params['db']}`.{EPOCHS}"
        )
        return int(found["epoch"])

    def _begin_epoch(self, connection: Connection[DictCursor], epoch: int) -> None:
        """Let the log of a new leader begin with its epoch, before anything waits to be acknowledged."""
        db = self.params["db"]
        run(connection, "SET GLOBAL rpl_semi_sync_master_enabled = 0")
        run(connection, f"CREATE DATABASE IF NOT EXISTS `{db}`")
        run(connection, "SET SESSION sql_log_bin = 1")
        run(
            connection,
            f"CREATE TABLE IF NOT EXISTS `{db}`.{EPOCHS} (epoch BIGINT PRIMARY KEY, leader VARCHAR(64) NOT NULL)"
            " ENGINE=InnoDB",
        )
        run(connection, f"INSERT IGNORE INTO `{db}`.{EPOCHS} VALUES (%s, %s)", epoch, self.name)
        run(connection, "SET SESSION sql_log_bin = 0")

    def prepare_to_lead(self, epoch: int) -> None:
        """Let others follow, but take no changes yet.  Raises Refused when a higher epoch was promised."""
        with self.connected() as connection, self._still_promised(connection, epoch):
            run(connection, "STOP SLAVE")
            run(connection, "RESET SLAVE ALL")
            self._begin_epoch(connection, epoch)
            run(connection, f"SET GLOBAL rpl_semi_sync_master_timeout = {FOREVER_MS}")
            run(connection, "SET GLOBAL rpl_semi_sync_master_wait_point = AFTER_SYNC")
            run(connection, "SET GLOBAL rpl_semi_sync_master_wait_no_slave = 1")
            run(connection, "SET GLOBAL rpl_semi_sync_master_enabled = 1")

    def lead(self, epoch: int) -> None:
        """Take changes in an epoch.  Raises Refused when a higher one was promised."""
        with self.connected() as connection, self._still_promised(connection, epoch):
            run(connection, f"UPDATE {LOCAL}.promise SET leader = %s", self.name)
            run(connection, "SET GLOBAL read_only = 0")

    def follow(self, leader: Replica, epoch: int) -> None:
        """Get all changes from a leader.  Raises Refused when a higher epoch was promised."""
        params = leader.params
        with self.connected() as connection, self._still_promised(connection, epoch):
            run(connection, "SET GLOBAL read_only = 1")
            run(connection, "STOP SLAVE")
            run(connection, f"CREATE DATABASE IF NOT EXISTS `{self.params['db']}`")
            run(connection, "SET GLOBAL rpl_semi_sync_slave_enabled = 1")
            run(
                connection,
                "CHANGE MASTER TO MASTER_HOST = %s, MASTER_PORT = %s, MASTER_USER = %s, MASTER_PASSWORD = %s,"
                " MASTER_USE_GTID = slave_pos, MASTER_DEMOTE_TO_SLAVE = 1, MASTER_CONNECT_RETRY = 1,"
                " MASTER_HEARTBEAT_PERIOD = 1",
                params.get("host", "localhost"),
                int(params.get("port", 3306)),
                params["admin_user"],
                params.get("admin_passwd", ""),
            )
            run(connection, f"UPDATE {LOCAL}.promise SET leader = %s", leader.name)
            run(connection, "START SLAVE")

    def step_down(self) -> None:
        """Take no more changes; whoever waits for one to be acknowledged loses the connection."""
        with self.connected() as connection, roles_locked(connection):
            for row in rows(connection, "SHOW PROCESSLIST"):
                is_client = row["User"] == self.params.get("user") and row["db"] == self.params["db"]
                if is_client:
                    end_connection(connection, int(row["Id"]))
            run(connection, "SET GLOBAL rpl_semi_sync_master_enabled = 0")
            run(connection, "SET GLOBAL read_only = 1")

    @contextmanager
    def _still_promised(self, connection: Connection[DictCursor], epoch: int) -> Iterator[None]:
        with roles_locked(connection):
            ensure_local(connection)
            run(connection, f"UPDATE {LOCAL}.promise SET epoch = %s WHERE epoch < %s", epoch, epoch)
            (own,) = rows(connection, f"SELECT epoch FROM {LOCAL}.promise")
            if int(own["epoch"]) != epoch:
                raise Refused(
                    f"MariaDB {self.name} has promised epoch {own['epoch']}, which is after {epoch}"
                )
            yield


def rows(connection: Connection[DictCursor], statement: str, *values: Any) -> list[dict[str, Any]]:
    """All rows of an answer."""
    with connection.cursor() as cursor:
        cursor.execute(statement, values or None)
        return [dict(row) for row in cursor.fetchall()]


def run(connection: Connection[DictCursor], statement: str, *values: Any) -> int:
    """How many rows a statement has changed."""
    with connection.cursor() as cursor:
        return int(cursor.execute(statement, values or None))


def ensure_local(connection: Connection[DictCursor]) -> None:
    """Make what a MariaDB keeps for itself, if it is not there."""
    run(connection, f"CREATE DATABASE IF NOT EXISTS {LOCAL}")
    run(
        connection,
        f"CREATE TABLE IF NOT EXISTS {LOCAL}.promise (id INT PRIMARY KEY, epoch BIGINT NOT NULL,"
        " leader VARCHAR(64) NOT NULL, candidate VARCHAR(64) NOT NULL) ENGINE=InnoDB",
    )
    run(connection, f"INSERT IGNORE INTO {LOCAL}.promise VALUES (1, 0, '', '')")
    run(connection, f"CREATE TABLE IF NOT EXISTS {UNFINISHED} (id INT PRIMARY KEY) ENGINE=InnoDB")


@contextmanager
def roles_locked(connection: Connection[DictCursor]) -> Iterator[None]:
    """Keep others from changing roles here.  Raises OperationalError when somebody does for too long."""
    (got,) = rows(connection, "SELECT GET_LOCK('dynamo_roles', %s) AS got", LOCK_S)
    if not got["got"]:
        raise OperationalError("Somebody else changes roles on the same MariaDB")
    try:
        yield
    finally:
        if connection.open:
            run(connection, "DO RELEASE_LOCK('dynamo_roles')")


def wait_for_relayed(connection: Connection[DictCursor]) -> None:
    """Wait until everything that was received has been applied.  Raises OperationalError when that takes too long."""
    found = rows(connection, "SHOW SLAVE STATUS")
    if not found or not found[0]["Gtid_IO_Pos"] or found[0]["Slave_SQL_Running"] != "Yes":
        return
    (answer,) = rows(
        connection, "SELECT MASTER_GTID_WAIT(%s, %s) AS failed", found[0]["Gtid_IO_Pos"], ANSWER_S - 2
    )
    if answer["failed"]:
        raise OperationalError("What was received is not applied in time")


def end_connection(connection: Connection[DictCursor], number: int) -> None:
    """End a connection, which may have ended by itself meanwhile."""
    try:
        run(connection, f"KILL {int(number)}")
    except pymysql.Error:
        return


def sequence_of(position: str) -> int:
    """The number of the last transaction of a GTID position such as `0-1-42`, of all domains the highest."""
    return max((int(part.rpartition("-")[2]) for part in position.split(",") if part), default=0)
