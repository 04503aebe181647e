"""The numbered log of all changes of a fleet's inventory."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple

from dynamo.core.components.impl.database import Database
from dynamo.core.components.persistency import Version
from dynamo.core.master.database import transaction
from dynamo.core.master.lease import Held, Leases
from dynamo.core.objectrepository import Action

MAX_KEPT = 1_000_000
"""Most commands that are kept for servers that are behind."""
KEPT_S = 86400
"""How long they are kept, in seconds."""

Commands = list[tuple[Action, dict[str, Any]]]


class Batch(NamedTuple):
    """Changes that belong together, under their number."""

    version: Version
    writer: str
    commands: Commands


class ChangeLog:
    """The tables of batches."""

    def __init__(self, database: Database, leases: Leases) -> None:
        self._database = database
        self._leases = leases

    def append(
        self,
        held: Held,
        writer: str,
        app_id: int,
        commands: Commands,
        also: Callable[[], None] | None = None,
    ) -> Version:
        """Add a batch, if the right to write is still here; its number.  `also` belongs to the same transaction.

        Raises Fenced when it is not; nothing is added then.
        """
        with transaction(self._database):
            self._leases.check(held)
            if also is not None:
                also()
            sequence = self._database.execute(
                "INSERT INTO change_batches (epoch, writer, app_id, committed)"
                f" VALUES (?, ?, ?, {self._database.clock})",
                (held.epoch, writer, app_id),
            )
            self._database.execute_many(
                "INSERT INTO changes (seq, n, cmd, obj) VALUES (?, ?, ?, ?)",
                (
                    (sequence, number, action, json.dumps(obj, separators=(",", ":")).encode())
                    for number, (action, obj) in enumerate(commands)
                ),
            )
        return Version(held.epoch, sequence)

    def has_batch_of(self, app_id: int) -> bool:
        """Is there a batch of this application?"""
        rows = self._database.rows("SELECT 1 FROM change_batches WHERE app_id = ?", (app_id,))
        return any(True for _ in rows)

    def last(self) -> int:
        """Number of the newest batch, 0 without any."""
        for (sequence,) in self._database.rows("SELECT MAX(seq) FROM change_batches"):
            return int(sequence or 0)
        return 0

    def first(self) -> int:
        """Number of the oldest batch that is kept, 0 without any."""
        for (sequence,) in self._database.rows("SELECT MIN(seq) FROM change_batches"):
            return int(sequence or 0)
        return 0

    def after(self, sequence: int, limit: int = 100) -> list[Batch]:
        """The batches that follow a number, oldest first."""
        batches = []
        for number, epoch, writer in list(
            self._database.rows(
                "SELECT seq, epoch, writer FROM change_batches WHERE seq > ? ORDER BY seq LIMIT ?",
                (sequence, limit),
            )
        ):
            commands: Commands = [
                (cmd, json.loads(obj))
                for cmd, obj in self._database.rows(
                    "SELECT cmd, obj FROM changes WHERE seq = ? ORDER BY n", (number,)
                )
            ]
            batches.append(Batch(Version(epoch, number), writer, commands))
        return batches

    def forget(self, applied_everywhere: int) -> None:
        """Drop old batches that every server has applied, always but the newest."""
        self._database.execute(
            f"DELETE FROM change_batches WHERE seq < ? AND committed < {self._database.clock} - ?",
            (applied_everywhere, KEPT_S),
        )
