"""The board of a server: the table `inventory_updates` in a database of its own, where others write what has changed.

A board only saves time.  What stands there is in the log as well, so whatever does not come, comes twice, leaves a gap
or cannot be read is dropped here and read from the log.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Iterable, Mapping
from typing import Any

from dynamo.core.components.impl.database import Row
from dynamo.core.components.impl.mysql_database import MySQLDatabase
from dynamo.core.components.impl.mysqlstore import TEXTS
from dynamo.core.components.persistency import Version
from dynamo.core.master.changelog import Batch, Commands
from dynamo.dataformat import DynamoError, OperationalError

LOG = logging.getLogger(__name__)

MODULE = "mysqlboard:MySQLUpdateBoard"
"""What servers advertise their boards as."""
MAX_COMMANDS = 10_000
"""Largest batch that is written on boards; larger ones are read from the log alone."""
MAX_ROWS = 100_000
"""Most rows that are taken from a board at once."""
RETRY_S = 10.0
"""How long to wait before a board that cannot be used is tried again, in seconds."""

_TABLE = (
    "CREATE TABLE IF NOT EXISTS inventory_updates (id BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY,"
    " cmd {text16} NOT NULL, obj LONGBLOB NOT NULL, seq BIGINT NOT NULL, epoch BIGINT NOT NULL, n BIGINT NOT NULL,"
    " last TINYINT NOT NULL, writer {text64} NOT NULL, KEY by_batch (seq)) ENGINE=InnoDB"
)
_COLUMNS = "cmd, obj, seq, epoch, n, last, writer"


class BoardDatabase(MySQLDatabase):
    """A database whose server is on this machine, or who has to answer soon."""

    answer_s = 8


class Board:
    """The own board of a server."""

    def __init__(self, params: Mapping[str, Any]) -> None:
        """`params` of its database, which need not be there yet."""
        self._params = dict(params)
        self._database: MySQLDatabase | None = None
        self._tried = -RETRY_S

    @property
    def is_open(self) -> bool:
        """Can others write there?"""
        return self._database is not None

    def open(self) -> None:
        """Make it, empty, when it was not opened yet and the last try was long ago."""
        if self._database is not None or time.monotonic() - self._tried < RETRY_S:
            return
        self._tried = time.monotonic()
        try:
            database = BoardDatabase(self._params)
            database.execute(_TABLE.format(**TEXTS))
            database.execute("DELETE FROM inventory_updates")
        except OperationalError as error:
            LOG.warning("There is no board here, the log is looked at instead: %s", error)
            return
        self._database = database

    def take(self) -> list[Batch]:
        """Whole batches, oldest first; they are gone from the board."""
        if self._database is None:
            return []
        try:
            rows = list(
                self._database.rows(f"SELECT {_COLUMNS} FROM inventory_updates ORDER BY id LIMIT {MAX_ROWS}")
            )
            # By batch, which is there as a whole: a row with a smaller number may just be written.
            for seq in {row[2] for row in rows}:
                self._database.execute("DELETE FROM inventory_updates WHERE seq = ?", (seq,))
        except OperationalError as error:
            LOG.warning("The board of this server cannot be used, the log is looked at instead: %s", error)
            self.close()
            return []
        return batches_of(rows)

    def close(self) -> None:
        """Give the connection back."""
        if self._database is not None:
            self._database.close()
            self._database = None


def batches_of(rows: Iterable[Row]) -> list[Batch]:
    """The whole batches among rows of a board, by their numbers; what belongs to none is dropped."""
    parts: dict[tuple[int, int], dict[int, tuple[bool, str, Any]]] = {}
    writers: dict[tuple[int, int], str] = {}
    for cmd, obj, seq, epoch, n, last, writer in rows:
        parts.setdefault((seq, epoch), {})[n] = (bool(last), cmd, obj)
        writers[seq, epoch] = str(writer)
    found = []
    for (seq, epoch), part in sorted(parts.items()):
        ordered = [part[n] for n in sorted(part)]
        ends = [n for n in part if part[n][0]]
        if sorted(part) != list(range(len(part))) or ends != [len(part) - 1]:
            continue
        try:
            commands = [_command(cmd, obj) for _, cmd, obj in ordered]
        except (ValueError, RecursionError, DynamoError) as error:
            LOG.warning("Batch %d on the board cannot be read: %s", seq, error)
            continue
        found.append(Batch(Version(epoch, seq), writers[seq, epoch], commands))
    return found


def _command(cmd: str, obj: bytes) -> Any:
    value = json.loads(obj)
    if cmd not in ("update", "delete") or not isinstance(value, dict):
        raise DynamoError(f"{cmd[:40]!r} of {type(value).__name__} is no change")
    return cmd, value


def post(database: MySQLDatabase, batch: Batch) -> None:
    """Write a batch on a board, as a whole.  Raises OperationalError."""
    database.begin()
    try:
        database.execute_many(
            f"INSERT INTO inventory_updates ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", rows_of(batch)
        )
    except BaseException:
        database.rollback()
        raise
    database.commit()


def rows_of(batch: Batch) -> list[Row]:
    """The rows of a batch on a board."""
    end = len(batch.commands) - 1
    return [
        (
            action,
            json.dumps(obj, separators=(",", ":")).encode(),
            batch.version.sequence,
            batch.version.epoch,
            number,
            int(number == end),
            batch.writer,
        )
        for number, (action, obj) in enumerate(batch.commands)
    ]


def as_json(batch: Batch) -> dict[str, Any]:
    """A batch for another process."""
    return {"version": list(batch.version), "writer": batch.writer, "commands": batch.commands}


def from_json(value: Mapping[str, Any]) -> Batch:
    """A batch from another process."""
    commands: Commands = [(action, obj) for action, obj in value["commands"]]
    return Batch(Version(*value["version"]), value["writer"], commands)
