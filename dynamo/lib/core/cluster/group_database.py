"""The shared database of a group of MariaDBs: a connection to the one that leads."""

from __future__ import annotations

from typing import Any

import pymysql

from dynamo.core.cluster.replica import LOCAL
from dynamo.core.components.impl.mysql_database import MySQLDatabase
from dynamo.dataformat import OperationalError

LOOK_S = 2
"""How long to wait for the answer of one that may lead, in seconds."""


class GroupDatabase(MySQLDatabase):
    """Connects to whoever leads, and looks again when that one is lost or leads no more.

    What is committed here is on two machines; when that takes too long, whether it was is not known.
    """

    answer_s = 8

    def __init__(self, replicas: dict[str, dict[str, Any]]) -> None:
        """`replicas` are parameters by name.  Raises OperationalError when nobody leads."""
        self._replicas = {
            name: {key: value for key, value in params.items() if not key.startswith("admin_")}
            for name, params in replicas.items()
        }
        super().__init__(next(iter(self._replicas.values())))

    def _target(self) -> dict[str, Any]:
        found: list[tuple[int, str]] = []
        for name, params in self._replicas.items():
            epoch = _leads_in(name, params)
            if epoch is not None:
                found.append((epoch, name))
        if not found:
            raise OperationalError(f"Nobody of {', '.join(self._replicas)} leads the shared database now")
        return self._replicas[max(found)[1]]


def _leads_in(name: str, params: dict[str, Any]) -> int | None:
    """The epoch in which a MariaDB leads; None when it does not, or cannot be reached."""
    try:
        connection = pymysql.connect(
            host=params.get("host", "localhost"),
            port=int(params.get("port", 3306)),
            user=params.get("user"),
            password=params.get("passwd", ""),
            connect_timeout=LOOK_S,
            read_timeout=LOOK_S,
            write_timeout=LOOK_S,
        )
        with connection, connection.cursor() as cursor:
            cursor.execute(f"SELECT epoch, leader, @@global.read_only FROM {LOCAL}.promise")
            epoch, leader, read_only = cursor.fetchone() or (0, "", 1)
    except pymysql.Error:
        return None
    return int(epoch) if leader == name and not read_only else None
