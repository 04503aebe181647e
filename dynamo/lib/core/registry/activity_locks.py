"""Locks that keep applications of a title from being started."""

from __future__ import annotations

import time
from typing import Any

from dynamo.core.components.impl.database import Database


class ActivityLocks:
    """The table of activity locks.  The owner is whoever has the oldest row; others are queued behind."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def owner(self, app: str) -> dict[str, Any] | None:
        """Who has an application's lock: user, service, note, time in Unix seconds, and number of own rows."""
        rows = list(
            self._database.rows(
                "SELECT user, service, timestamp, note FROM activity_lock WHERE application = ? ORDER BY id",
                (app,),
            )
        )
        if not rows:
            return None
        user, service, moment, note = rows[0]
        depth = sum(1 for row in rows if row[:2] == (user, service))
        found = {"user": user, "service": service, "lock_time": moment, "depth": depth}
        return found if note is None else {**found, "note": note}

    def lock(
        self, app: str, user: str, service: str | None = None, note: str | None = None
    ) -> dict[str, Any] | None:
        """Add a row of a user; who has the lock then."""
        self._database.execute(
            "INSERT INTO activity_lock (user, service, application, timestamp, note) VALUES (?, ?, ?, ?, ?)",
            (user, service, app, int(time.time()), note),
        )
        return self.owner(app)

    def unlock(self, app: str, user: str, service: str | None = None) -> dict[str, Any] | None:
        """Take the newest row of a user away; who has the lock then."""
        rows = list(
            self._database.rows(
                "SELECT id, service FROM activity_lock WHERE application = ? AND user = ? ORDER BY id DESC",
                (app, user),
            )
        )
        for number, of_service in rows:
            if of_service == service:
                self._database.execute("DELETE FROM activity_lock WHERE id = ?", (number,))
                break
        return self.owner(app)

    def locked(self) -> list[str]:
        """Titles that are locked."""
        rows = self._database.rows("SELECT DISTINCT application FROM activity_lock ORDER BY application")
        return [str(title) for (title,) in rows]
