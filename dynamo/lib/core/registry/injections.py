"""Changes of the inventory that wait for the next run of the updater."""

from __future__ import annotations

import json
from typing import Any, Literal

from dynamo.core.components.impl.database import Database
from dynamo.core.registry.access import Refused

MAX_WAITING = 1_000_000
"""Most changes that wait."""


class Injections:
    """The queue of injected and deleted objects, in JSON."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, commands: list[tuple[Literal["update", "delete"], dict[str, Any]]]) -> int:
        """Put changes at the end of the queue; how many wait then.  Raises Refused when too many do."""
        waiting = self.count() + len(commands)
        if waiting > MAX_WAITING:
            raise Refused(f"{waiting} changes would wait, at most {MAX_WAITING} may; run the updater")
        self._database.execute_many(
            "INSERT INTO data_injections (cmd, obj) VALUES (?, ?)",
            [(cmd, json.dumps(obj, separators=(",", ":")).encode()) for cmd, obj in commands],
        )
        return waiting

    def count(self) -> int:
        """How many changes wait."""
        for (number,) in self._database.rows("SELECT count(*) FROM data_injections"):
            return int(number)
        return 0

    def waiting(self, limit: int = 10_000) -> list[tuple[int, str, dict[str, Any]]]:
        """Number, command and object of what waits, oldest first."""
        rows = self._database.rows(
            "SELECT id, cmd, obj FROM data_injections ORDER BY id LIMIT ?", (min(limit, 100_000),)
        )
        return [(int(number), str(cmd), json.loads(obj)) for number, cmd, obj in rows]

    def forget(self, up_to: int) -> None:
        """Drop what has been applied: everything up to a number."""
        self._database.execute("DELETE FROM data_injections WHERE id <= ?", (up_to,))
