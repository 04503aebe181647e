"""The queue of applications."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Sequence
from enum import StrEnum
from typing import Any, NamedTuple

from dynamo.core.components.impl.database import Database
from dynamo.core.master.database import transaction
from dynamo.dataformat import OperationalError

MAX_EXECUTABLE = 4 << 20
"""Largest executable, in bytes."""
MAX_WAITING = 10_000
"""Most applications that wait in the queue."""


class AuthLevel(StrEnum):
    """What an application may do."""

    NOAUTH = "noauth"
    AUTH = "auth"
    WRITE = "write"


class Status(StrEnum):
    """How far an application has come."""

    NEW = "new"
    ASSIGNED = "assigned"
    RUN = "run"
    DONE = "done"
    NOTFOUND = "notfound"
    AUTHFAILED = "authfailed"
    FAILED = "failed"
    KILLED = "killed"

    @property
    def is_final(self) -> bool:
        """Will it stay like this?"""
        return self not in (Status.NEW, Status.ASSIGNED, Status.RUN)


class Application(NamedTuple):
    """A row of the queue.  `timeout` in hours, 0 = the server's default, negative = none."""

    id: int
    auth_level: AuthLevel
    title: str
    path: str
    args: str
    timeout: int
    status: Status
    server: str
    exit_code: int | None
    user_id: int
    user_name: str
    user_host: str
    timestamp: int

    def public(self) -> dict[str, Any]:
        """What clients may see."""
        shown = self._asdict()
        shown["appid"] = shown.pop("id")
        del shown["user_id"]
        return shown


_COLUMNS = (
    "a.id, a.auth_level, a.title, a.path, a.args, a.timeout, a.status, a.server, a.exit_code, a.user_id,"
    " COALESCE(u.name, ''), a.user_host, a.timestamp"
)


class ApplicationQueue:
    """The tables of applications and their executables."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def submit(
        self,
        title: str,
        executable: bytes,
        args: str,
        auth_level: AuthLevel,
        path: str,
        user_id: int,
        user_host: str,
        timeout: int = 0,
    ) -> int:
        """Put an application at the end of the queue; its number.

        Raises OperationalError when the queue is full or the executable too large.
        """
        if len(executable) > MAX_EXECUTABLE:
            raise OperationalError(
                f"The executable has {len(executable)} bytes; at most {MAX_EXECUTABLE} are allowed"
            )
        with transaction(self._database):
            for (waiting,) in self._database.rows(
                "SELECT count(*) FROM applications WHERE status = ?", (Status.NEW,)
            ):
                if waiting >= MAX_WAITING:
                    raise OperationalError(f"{waiting} applications wait already; try again later")
            number = self._database.execute(
                "INSERT INTO applications"
                " (auth_level, title, path, args, timeout, status, user_id, user_host, timestamp)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
                (auth_level, title, path, args, timeout, Status.NEW, user_id, user_host, int(time.time())),
            )
            digest = hashlib.sha256(executable).digest()
            self._database.execute(
                "INSERT INTO application_files VALUES (?, ?, ?)", (number, executable, digest)
            )
        return number

    def get(self, number: int) -> Application | None:
        """An application by number."""
        found = self._select("WHERE a.id = ?", number)
        return found[0] if found else None

    def newest(self, limit: int = 100) -> list[Application]:
        """The newest applications, newest first."""
        return self._select("ORDER BY a.id DESC LIMIT ?", limit)

    def _select(self, condition: str, *values: Any) -> list[Application]:
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM applications a LEFT JOIN users u ON u.id = a.user_id {condition}", values
        )
        return [
            Application(*row)._replace(auth_level=AuthLevel(row[1]), status=Status(row[6])) for row in rows
        ]

    def executable(self, number: int) -> bytes | None:
        """The bytes of an application's executable; None when they are missing or damaged."""
        for executable, digest in self._database.rows(
            "SELECT executable, checksum256 FROM application_files WHERE app_id = ?", (number,)
        ):
            if hashlib.sha256(executable).digest() == digest:
                return bytes(executable)
        return None

    def has_waiting_writer(self, locked: Sequence[str] = ()) -> bool:
        """Does an application wait that writes, with a title that is not locked?"""
        return bool(self._waiting(True, locked))

    def _waiting(self, writer: bool, locked: Sequence[str]) -> list[Application]:
        word = "=" if writer else "<>"
        free = f"AND a.title NOT IN ({', '.join('?' * len(locked))})" if locked else ""
        return self._select(
            f"WHERE a.status = 'new' AND a.auth_level {word} 'write' {free} ORDER BY a.id LIMIT 1", *locked
        )

    def assign_next(self, server: str, writer: bool, locked: Sequence[str] = ()) -> Application | None:
        """Take the oldest waiting application that writes, or that does not; None when none waits.

        Those whose title is `locked` go on waiting.
        """
        while True:
            found = self._waiting(writer, locked)
            if not found:
                return None
            if self._database.change(
                "UPDATE applications SET status = ?, server = ? WHERE id = ? AND status = 'new'",
                (Status.ASSIGNED, server, found[0].id),
            ):
                return found[0]._replace(status=Status.ASSIGNED, server=server)

    def give_back(self, server: str, known: Collection[int]) -> int:
        """Let applications wait again that a server was given without its knowledge; how many that were.

        That happens when the database is lost just when one is assigned.
        """
        lost = [app.id for app in self._select("WHERE a.server = ? AND a.status = 'assigned'", server)]
        return sum(
            self._database.change(
                "UPDATE applications SET status = 'new', server = '' WHERE id = ? AND status = 'assigned'",
                (number,),
            )
            for number in lost
            if number not in known
        )

    def ask_to_kill(self, number: int, reason: str) -> None:
        """Note that an application shall end, for the server that runs it; a waiting one ends at once."""
        self._database.execute("UPDATE applications SET kill_reason = ? WHERE id = ?", (reason, number))
        self._database.execute(
            "UPDATE applications SET status = ? WHERE id = ? AND status = 'new'", (Status.KILLED, number)
        )

    def to_be_killed(self, server: str) -> list[tuple[int, str]]:
        """Numbers and reasons of what a server runs and shall end."""
        rows = self._database.rows(
            "SELECT id, kill_reason FROM applications WHERE server = ? AND status = 'run' AND kill_reason <> ''",
            (server,),
        )
        return [(int(number), str(reason)) for number, reason in rows]

    def unfinished_of(self, gone: list[str]) -> int:
        """Mark what servers ran that are gone; how many that were."""
        return sum(self.kill_leftovers(server) for server in gone)

    def add_output(self, number: int, stream: int, position: int, data: bytes) -> None:
        """Keep a piece of output for clients of another server."""
        self._database.execute(
            "REPLACE INTO application_output (app_id, stream, position, data) VALUES (?, ?, ?, ?)",
            (number, stream, position, data),
        )

    def output(self, number: int, stream: int, position: int) -> bytes:
        """The output from a position on, as far as it is kept."""
        rows = self._database.rows(
            "SELECT data FROM application_output WHERE app_id = ? AND stream = ? AND position >= ?"
            " ORDER BY position LIMIT 16",
            (number, stream, position),
        )
        return b"".join(bytes(data) for (data,) in rows)

    def set_status(self, number: int, status: Status, exit_code: int | None = None) -> None:
        """Note how far an application has come."""
        self._database.execute(
            "UPDATE applications SET status = ?, exit_code = ?, timestamp = ? WHERE id = ?",
            (status, exit_code, int(time.time()), number),
        )

    def kill_leftovers(self, server: str) -> int:
        """Mark what an earlier run of a server has left unfinished; how many that were."""
        left = [app for app in self._select("WHERE a.server = ?", server) if not app.status.is_final]
        for app in left:
            self.set_status(app.id, Status.KILLED)
        return len(left)

    def forget_before(self, timestamp: int) -> list[Application]:
        """Delete applications that ended before a time (Unix seconds); what was deleted."""
        old = [app for app in self._select("WHERE a.timestamp < ?", timestamp) if app.status.is_final]
        with transaction(self._database):
            self._database.execute_many("DELETE FROM applications WHERE id = ?", [(app.id,) for app in old])
        return old
