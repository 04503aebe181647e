"""The table of what is to be moved and deleted: one row for a file at a site."""

from __future__ import annotations

import time
from collections.abc import Iterable
from enum import StrEnum
from typing import Any, NamedTuple

from dynamo.core.components.impl.database import Database
from dynamo.core.registry.access import Refused

MAX_FILES = 100_000
"""Most files in one call."""
RETRY_S = 60
"""How long a file rests after an attempt that failed, in seconds."""


class Status(StrEnum):
    """How far a file has come."""

    NEW = "new"
    INBATCH = "inbatch"
    DONE = "done"
    RETRY = "retry"
    HELD = "held"
    CANCELLED = "cancelled"


OPEN = (Status.NEW, Status.INBATCH, Status.RETRY, Status.HELD)


class Subscription(NamedTuple):
    """A file that is to come to a site, or to leave it.  Sizes in bytes, times in Unix seconds."""

    id: int
    file: str
    block: str
    site: str
    size: int
    is_deletion: bool
    status: Status
    hold_reason: str | None
    created: int
    updated: int

    def public(self) -> dict[str, Any]:
        """For programs and pages."""
        return self._asdict()


_COLUMNS = "id, file, block, site, size, is_deletion, status, hold_reason, created, updated"


class Subscriptions:
    """The table of subscriptions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def subscribe(self, site: str, files: list[tuple[str, str, int]]) -> int:
        """Have files (name, full name of the block, bytes) come to a site; how many are new.

        An open deletion of the same file there is cancelled.
        """
        return self._add(site, files, is_deletion=False)

    def desubscribe(self, site: str, files: list[tuple[str, str, int]]) -> int:
        """Have files leave a site; how many are new.  An open transfer of the same file is cancelled."""
        return self._add(site, files, is_deletion=True)

    def _add(self, site: str, files: list[tuple[str, str, int]], is_deletion: bool) -> int:
        if len(files) > MAX_FILES:
            raise Refused(f"{len(files)} files were given at once; at most {MAX_FILES} are taken")
        now, added = int(time.time()), 0
        for name, block, size in files:
            for known in self._select("WHERE file = ? AND site = ?", name, site):
                if known.is_deletion != is_deletion and known.status in OPEN:
                    self.set_status([known.id], Status.CANCELLED)
            same = self._select(
                "WHERE file = ? AND site = ? AND is_deletion = ?", name, site, int(is_deletion)
            )
            if not same:
                self._database.execute(
                    "INSERT INTO file_subscriptions (file, block, site, size, is_deletion, status, created,"
                    " updated) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                    (name, block, site, size, int(is_deletion), Status.NEW, now, now),
                )
                added += 1
            elif same[0].status in (Status.DONE, Status.CANCELLED, Status.HELD):
                self._renew(same[0].id, block, size, now)
                added += 1
        return added

    def _renew(self, number: int, block: str, size: int, now: int) -> None:
        self._database.execute(
            "UPDATE file_subscriptions SET block = ?, size = ?, status = ?, hold_reason = NULL, created = ?,"
            " updated = ? WHERE id = ?",
            (block, size, Status.NEW, now, now, number),
        )
        self._database.execute("DELETE FROM failed_transfers WHERE subscription_id = ?", (number,))

    def cancel(self, site: str, names: list[str], is_deletion: bool) -> int:
        """Give up what is open for files at a site; how many that were."""
        numbers = [
            found.id
            for name in names
            for found in self._select(
                "WHERE file = ? AND site = ? AND is_deletion = ?", name, site, int(is_deletion)
            )
            if found.status in OPEN
        ]
        self.set_status(numbers, Status.CANCELLED)
        return len(numbers)

    def release_held(self) -> int:
        """Try again what is held; how many files that are."""
        held = self.of_status(Status.HELD)
        for found in held:
            self._renew(found.id, found.block, found.size, int(time.time()))
        return len(held)

    def set_status(self, numbers: Iterable[int], status: Status, hold_reason: str | None = None) -> None:
        """Note how far files have come."""
        now = int(time.time())
        self._database.execute_many(
            "UPDATE file_subscriptions SET status = ?, hold_reason = ?, updated = ? WHERE id = ?",
            [(status, hold_reason, now, number) for number in numbers],
        )

    def of_status(
        self, status: Status, is_deletion: bool | None = None, limit: int = MAX_FILES
    ) -> list[Subscription]:
        """What has come so far, oldest first."""
        if is_deletion is None:
            return self._select("WHERE status = ? ORDER BY id LIMIT ?", status, limit)
        return self._select(
            "WHERE status = ? AND is_deletion = ? ORDER BY id LIMIT ?", status, int(is_deletion), limit
        )

    def waiting(self, is_deletion: bool, limit: int, now: int | None = None) -> list[Subscription]:
        """What can be started: new, or rested since it failed."""
        rested = (int(time.time()) if now is None else now) - RETRY_S
        return self._select(
            "WHERE is_deletion = ? AND (status = ? OR (status = ? AND updated <= ?)) ORDER BY id LIMIT ?",
            int(is_deletion),
            Status.NEW,
            Status.RETRY,
            rested,
            limit,
        )

    def forget(self, numbers: list[int]) -> None:
        """Drop rows that are done or cancelled."""
        self._database.execute_many(
            "DELETE FROM failed_transfers WHERE subscription_id = ?", [(number,) for number in numbers]
        )
        self._database.execute_many(
            "DELETE FROM file_subscriptions WHERE id = ? AND status IN ('done', 'cancelled')",
            [(number,) for number in numbers],
        )

    def fail(self, number: int, source: str, exit_code: int) -> None:
        """Note that a source, or the site of a deletion, did not serve a file."""
        self._database.execute(
            "INSERT INTO failed_transfers (subscription_id, source, exit_code, failed) VALUES (?, ?, ?, ?)",
            (number, source, exit_code, int(time.time())),
        )
        self.set_status([number], Status.RETRY)

    def failures(self, number: int) -> list[tuple[str, int]]:
        """Source and exit code of earlier attempts, oldest first."""
        return [
            (str(source), int(code))
            for source, code in self._database.rows(
                "SELECT source, exit_code FROM failed_transfers WHERE subscription_id = ? ORDER BY id",
                (number,),
            )
        ]

    def current(self, site: str | None = None, after: int = 0, limit: int = 1000) -> list[dict[str, Any]]:
        """What is open, for programs and pages."""
        where = "WHERE id > ? AND status <> 'done' AND status <> 'cancelled'"
        if site is None:
            found = self._select(f"{where} ORDER BY id LIMIT ?", after, min(limit, MAX_FILES))
        else:
            found = self._select(
                f"{where} AND site = ? ORDER BY id LIMIT ?", after, site, min(limit, MAX_FILES)
            )
        return [subscription.public() for subscription in found]

    def finished(self, limit: int = 10_000) -> list[dict[str, Any]]:
        """What is done and not yet told to the inventory, oldest first."""
        return [found.public() for found in self.of_status(Status.DONE, limit=min(limit, MAX_FILES))]

    def counts(self) -> list[dict[str, Any]]:
        """Number and bytes of files by site, kind, status and reason."""
        rows = self._database.rows(
            "SELECT site, is_deletion, status, hold_reason, COUNT(*), SUM(size) FROM file_subscriptions"
            " GROUP BY site, is_deletion, status, hold_reason ORDER BY site, is_deletion, status, hold_reason"
        )
        names = ("site", "is_deletion", "status", "hold_reason", "files", "size")
        return [
            dict(zip(names, (site, bool(deletion), *rest, int(count), int(size)), strict=True))
            for site, deletion, *rest, count, size in rows
        ]

    def get(self, number: int) -> Subscription | None:
        """A row by number."""
        return next(iter(self._select("WHERE id = ?", number)), None)

    def _select(self, condition: str, *values: Any) -> list[Subscription]:
        rows = list(self._database.rows(f"SELECT {_COLUMNS} FROM file_subscriptions {condition}", values))
        return [Subscription(*row)._replace(is_deletion=bool(row[5]), status=Status(row[6])) for row in rows]
