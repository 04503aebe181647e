"""Locks that keep datasets and blocks from being deleted by policies."""

from __future__ import annotations

import time
from typing import Any

from dynamo.core.components.impl.database import Database, Row
from dynamo.core.registry.access import Refused

MAX_LOCKS = 10_000
"""Most locks that a user may have."""

_COLUMNS = "id, item, sites, group_name, lock_date, expiration_date, unlock_date, user, dn, service, comment"
_NAMES = (
    "lockid",
    "item",
    "sites",
    "groups",
    "locked",
    "expires",
    "unlocked",
    "user",
    "dn",
    "service",
    "comment",
)


class DeletionLocks:
    """The table of deletion locks.  One that has expired or was given back stays as history."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def lock(
        self,
        item: str,
        expires: int,
        user: str,
        dn: str,
        sites: list[str] | None = None,
        groups: list[str] | None = None,
        service: str | None = None,
        comment: str | None = None,
    ) -> dict[str, Any]:
        """Lock an item (a pattern), once for every pair of site and group; an equal own lock is updated.

        The answer has `locks`, and `created` unless all were there already.
        """
        found, created = [], False
        for site in sites or [None]:  # type: ignore[list-item]  # None = at all sites
            for group in groups or [None]:  # type: ignore[list-item]  # None = of all groups
                known = self.listed(user=user, service=service, item=item, site=site, group=group, exact=True)
                if known:
                    number = known[0]["lockid"]
                    self._database.execute(
                        "UPDATE detox_locks SET expiration_date = ?, comment = ? WHERE id = ?",
                        (expires, comment, number),
                    )
                else:
                    created = True
                    number = self._add(item, expires, user, dn, site, group, service, comment)
                found += self._select("id = ?", (number,))
        return {"created": created, "locks": found}

    def _add(
        self,
        item: str,
        expires: int,
        user: str,
        dn: str,
        site: str | None,
        group: str | None,
        service: str | None,
        comment: str | None,
    ) -> int:
        if len(self.listed(user=user)) >= MAX_LOCKS:
            raise Refused(f"User {user} has {MAX_LOCKS} locks already; unlock some")
        return self._database.execute(
            "INSERT INTO detox_locks (item, sites, group_name, lock_date, expiration_date, user, dn, service,"
            " comment) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (item, site, group, int(time.time()), expires, user, dn, service, comment),
        )

    def unlock(self, lock_ids: list[int], user: str) -> list[dict[str, Any]]:
        """Give own locks back; those that were."""
        given = []
        for lock in self.listed(user=user):
            if lock["lockid"] in lock_ids:
                self._database.execute(
                    "UPDATE detox_locks SET unlock_date = ? WHERE id = ?", (int(time.time()), lock["lockid"])
                )
                given.append(lock)
        return given

    def replace(
        self, locks: list[dict[str, Any]], user: str, dn: str, service: str | None = None
    ) -> list[dict[str, Any]]:
        """Have exactly these own locks: each with item, expires, and sites, groups, comment if wanted."""
        own = [lock["lockid"] for lock in self.listed(user=user) if lock.get("service") == service]
        self.unlock(own, user)
        found: list[dict[str, Any]] = []
        for lock in locks:
            made = self.lock(
                str(lock["item"]),
                int(lock["expires"]),
                user,
                dn,
                lock.get("sites"),
                lock.get("groups"),
                service,
                lock.get("comment"),
            )
            found += made["locks"]
        return found

    def listed(
        self,
        user: str | None = None,
        service: str | None = None,
        item: str | None = None,
        site: str | None = None,
        group: str | None = None,
        lock_id: int | None = None,
        with_expired: bool = False,
        exact: bool = False,
    ) -> list[dict[str, Any]]:
        """Locks that fit what is given and still hold.  `exact` takes missing site, group and service for none."""
        conditions, values = ["unlock_date IS NULL"], []
        if not with_expired:
            conditions.append("expiration_date > ?")
            values.append(int(time.time()))
        asked = (("user", user), ("item", item), ("id", lock_id))
        for column, value in (*asked, ("sites", site), ("group_name", group), ("service", service)):
            if value is not None:
                conditions.append(f"{column} = ?")
                values.append(value)  # type: ignore[arg-type]  # numbers and words are values alike
            elif exact and column in ("sites", "group_name", "service"):
                conditions.append(f"{column} IS NULL")
        return self._select(" AND ".join(conditions), tuple(values))

    def _select(self, condition: str, values: Row) -> list[dict[str, Any]]:
        rows = self._database.rows(
            f"SELECT {_COLUMNS} FROM detox_locks WHERE {condition} ORDER BY id", values
        )
        return [
            {name: value for name, value in zip(_NAMES, row, strict=True) if value is not None}
            for row in rows
        ]
