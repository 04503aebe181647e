"""The table of what back-ends work on, and the history of what they have done."""

from __future__ import annotations

import time
from typing import Any, NamedTuple

from dynamo.core.components.impl.database import Database
from dynamo.dataformat.fileop import TaskState
from dynamo.fileop.backend import Report
from dynamo.fileop.subscriptions import Subscription


class Task(NamedTuple):
    """One attempt for a subscription.  `source` is empty for deletions."""

    id: int
    subscription_id: int
    source: str
    batch: str
    created: int


class Tasks:
    """The tables of tasks and of their history."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, subscription: int, source: str, batch: str) -> int:
        """Note an attempt; its number."""
        return self._database.execute(
            "INSERT INTO file_tasks (subscription_id, source, batch, status, created) VALUES (?, ?, ?, ?, ?)",
            (subscription, source, batch, TaskState.NEW, int(time.time())),
        )

    def listed(self) -> list[Task]:
        """All attempts that have not been archived."""
        rows = self._database.rows(
            "SELECT id, subscription_id, source, batch, created FROM file_tasks ORDER BY id"
        )
        return [Task(*row) for row in rows]

    def archive(self, task: Task, subscription: Subscription, report: Report) -> None:
        """Move an attempt that has ended into history."""
        self._database.execute(
            "INSERT INTO file_history (file, source, site, size, is_deletion, status, exit_code, message,"
            " created, started, finished) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                subscription.file,
                task.source,
                subscription.site,
                subscription.size,
                int(subscription.is_deletion),
                report.state,
                report.exit_code,
                report.message[:512],
                task.created,
                report.started,
                int(time.time()) if report.finished is None else report.finished,
            ),
        )
        self.drop(task.id)

    def drop(self, number: int) -> None:
        """Forget an attempt without a trace."""
        self._database.execute("DELETE FROM file_tasks WHERE id = ?", (number,))

    def history(
        self, is_deletion: bool, since: int, until: int | None = None, after: int = 0, limit: int = 10_000
    ) -> list[dict[str, Any]]:
        """Attempts that ended in a span of Unix seconds, oldest first."""
        names = ["id", "file", "source", "site", "size", "status", "exit_code", "message", "created"]
        names += ["started", "finished"]
        rows = self._database.rows(
            f"SELECT {', '.join(names)} FROM file_history"
            " WHERE is_deletion = ? AND finished >= ? AND finished < ? AND id > ? ORDER BY id LIMIT ?",
            (int(is_deletion), since, 1 << 40 if until is None else until, after, min(limit, 100_000)),
        )
        return [dict(zip(names, row, strict=True)) for row in rows]

    def volumes(self, is_deletion: bool, since: int, step: int) -> list[dict[str, Any]]:
        """Bytes and files that were done, by site and span of `step` seconds."""
        rows = self._database.rows(
            "SELECT site, finished - finished % ?, SUM(size), COUNT(*) FROM file_history"
            " WHERE is_deletion = ? AND status = 'done' AND finished >= ?"
            " GROUP BY site, finished - finished % ? ORDER BY 2, 1",
            (step, int(is_deletion), since, step),
        )
        return [
            {"site": site, "time": int(moment), "size": int(size), "files": int(count)}
            for site, moment, size, count in rows
        ]
