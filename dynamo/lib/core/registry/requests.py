"""Requests of users to copy and to delete datasets and blocks."""

from __future__ import annotations

import time
from collections.abc import Iterable
from typing import Any, Literal

from dynamo.core.components.impl.database import Database
from dynamo.core.registry.access import Refused
from dynamo.dataformat.request import ACTION_STATUS, OPEN, STATUS

Kind = Literal["copy", "deletion"]

STATUSES = STATUS.names
ACTION_STATUSES = ACTION_STATUS.names
MAX_FOUND = 10_000
"""Most requests in one answer."""
MAX_PARTS = 100_000
"""Most items, and most sites, of one request."""


class Requests:
    """The tables of requests.  A request is closed when it is completed, rejected or cancelled."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def copy(
        self, items: list[str], sites: list[str], group: str, copies: int, user: str, dn: str
    ) -> dict[str, Any]:
        """Ask for copies.  An open request for all these items and sites is counted up instead of made again."""
        _check_parts(items, sites)
        now = int(time.time())
        for known in self._found("copy", OPEN, None):
            if set(items) <= set(known["item"]) and set(sites) <= set(known["site"]):
                return self._count_up(known, group, copies, now)
        number = self._database.execute(
            "INSERT INTO copy_requests (group_name, num_copies, user, dn, first_request_time, last_request_time,"
            " request_count, status) VALUES (?, ?, ?, ?, ?, ?, 1, 'new')",
            (group, copies, user, dn, now, now),
        )
        self._add_parts("copy", number, items, sites)
        return self._one("copy", number)

    def _count_up(self, known: dict[str, Any], group: str, copies: int, now: int) -> dict[str, Any]:
        number = known["request_id"]
        self._database.execute(
            "UPDATE copy_requests SET request_count = request_count + 1, last_request_time = ? WHERE id = ?",
            (now, number),
        )
        if known["status"] == "new":
            self._database.execute(
                "UPDATE copy_requests SET group_name = ?, num_copies = ? WHERE id = ?",
                (group, copies, number),
            )
        return self._one("copy", number)

    def change_copy(
        self,
        request_id: int,
        items: list[str] | None,
        sites: list[str] | None,
        group: str | None,
        copies: int | None,
    ) -> dict[str, Any]:
        """Change a copy request that nobody has looked at yet.  Raises Refused for any other."""
        found = self._one("copy", request_id)
        if found["status"] != "new":
            raise Refused(f"Request {request_id} is {found['status']}; only a new one can be changed")
        new_items, new_sites = items or found["item"], sites or found["site"]
        _check_parts(new_items, new_sites)
        for table in ("request_items", "request_sites"):
            self._database.execute(
                f"DELETE FROM {table} WHERE kind = 'copy' AND request_id = ?", (request_id,)
            )
        self._add_parts("copy", request_id, new_items, new_sites)
        self._database.execute(
            "UPDATE copy_requests SET group_name = ?, num_copies = ?, last_request_time = ?,"
            " request_count = request_count + 1 WHERE id = ?",
            (
                group or found["group"],
                found["n"] if copies is None else copies,
                int(time.time()),
                request_id,
            ),
        )
        return self._one("copy", request_id)

    def cache_copy(self, item: str, sites: str, user: str) -> dict[str, Any]:
        """Remember a copy for later; the remembered row."""
        number = self._database.execute(
            "INSERT INTO cached_copy_requests (item, sites, user, created) VALUES (?, ?, ?, ?)",
            (item, sites, user, int(time.time())),
        )
        return {"request_id": number, "item": item, "sites": sites}

    def delete(self, items: list[str], sites: list[str], user: str, dn: str) -> dict[str, Any]:
        """Ask for deletion.  An open request for exactly these items and sites is the answer again."""
        _check_parts(items, sites)
        for known in self._found("deletion", OPEN, None):
            if set(items) == set(known["item"]) and set(sites) == set(known["site"]):
                return known
        number = self._database.execute(
            "INSERT INTO deletion_requests (user, dn, request_time, status) VALUES (?, ?, ?, 'new')",
            (user, dn, int(time.time())),
        )
        self._add_parts("deletion", number, items, sites)
        return self._one("deletion", number)

    def close(self, kind: Kind, request_id: int, status: str, reason: str | None = None) -> dict[str, Any]:
        """End a request as completed, rejected or cancelled.  Raises Refused when it has ended already."""
        if status not in STATUSES or status in OPEN:
            raise Refused(f"A request does not end as {status!r}; it is completed, rejected or cancelled")
        found = self._one(kind, request_id)
        if found["status"] not in OPEN:
            raise Refused(f"Request {request_id} is {found['status']} already")
        self._database.execute(
            f"UPDATE {kind}_requests SET status = ?, rejection_reason = ? WHERE id = ?",
            (status, reason, request_id),
        )
        return self._one(kind, request_id)

    def activate(self, kind: Kind, request_id: int, actions: list[tuple[str, str]]) -> dict[str, Any]:
        """Note which items go to, or leave, which sites for a request.  Raises Refused when it has ended."""
        found = self._one(kind, request_id)
        if found["status"] not in OPEN:
            raise Refused(f"Request {request_id} is {found['status']} already")
        now = int(time.time())
        known = {(action["item"], action["site"]) for action in found.get("active", ())}
        self._database.execute_many(
            "INSERT INTO request_actions (kind, request_id, item, site, status, created, updated)"
            " VALUES (?, ?, ?, ?, 'new', ?, ?)",
            [(kind, request_id, item, site, now, now) for item, site in actions if (item, site) not in known],
        )
        self._database.execute(f"UPDATE {kind}_requests SET status = 'activated' WHERE id = ?", (request_id,))
        return self._one(kind, request_id)

    def set_action(self, kind: Kind, request_id: int, item: str, site: str, status: str) -> None:
        """Note how far an action has come.  When the last one is completed, so is the request."""
        if status not in ACTION_STATUSES:
            raise Refused(f"Unknown status {status!r} of an action; known are {', '.join(ACTION_STATUSES)}")
        self._database.execute(
            "UPDATE request_actions SET status = ?, updated = ?"
            " WHERE kind = ? AND request_id = ? AND item = ? AND site = ?",
            (status, int(time.time()), kind, request_id, item, site),
        )
        found = self._one(kind, request_id)
        actions = found.get("active", ())
        if found["status"] == "activated" and all(action["status"] == "completed" for action in actions):
            self.close(kind, request_id, "completed")

    def find(
        self,
        kind: Kind,
        request_id: int | None = None,
        statuses: list[str] | None = None,
        users: list[str] | None = None,
        items: list[str] | None = None,
        sites: list[str] | None = None,
        after: int = 0,
        limit: int = MAX_FOUND,
    ) -> list[dict[str, Any]]:
        """Requests that fit everything that is given, in order of their numbers."""
        if request_id is not None:
            found = self._found(kind, None, request_id)
        else:
            found = self._found(kind, tuple(statuses or STATUSES), None, after)
        fitting = [
            request
            for request in found
            if (users is None or request["user"] in users)
            and (items is None or set(items) & set(request["item"]))
            and (sites is None or set(sites) & set(request["site"]))
        ]
        return fitting[: max(0, min(limit, MAX_FOUND))]

    def _one(self, kind: Kind, request_id: int) -> dict[str, Any]:
        found = self._found(kind, None, request_id)
        if not found:
            raise Refused(f"Unknown request {request_id}")
        return found[0]

    def _found(
        self, kind: Kind, statuses: tuple[str, ...] | None, request_id: int | None, after: int = 0
    ) -> list[dict[str, Any]]:
        if kind == "copy":
            columns = (
                "id, status, user, dn, group_name, num_copies, first_request_time, last_request_time,"
                " request_count, rejection_reason"
            )
            names = ["request_id", "status", "user", "dn", "group", "n", "first_request", "last_request"]
            names += ["request_count", "reason"]
        else:
            columns = "id, status, user, dn, request_time, rejection_reason"
            names = ["request_id", "status", "user", "dn", "request_time", "reason"]
        values: list[Any] = [after]
        condition = "id > ?"
        if request_id is not None:
            condition, values = "id = ?", [request_id]
        elif statuses is not None:
            condition += f" AND status IN ({', '.join('?' * len(statuses))})"
            values += statuses
        requests = {
            row[0]: dict(zip(names, row, strict=True))
            for row in self._database.rows(
                f"SELECT {columns} FROM {kind}_requests WHERE {condition} ORDER BY id LIMIT {MAX_FOUND}",
                values,
            )
        }
        for request in requests.values():
            if request["reason"] is None:
                del request["reason"]
            request["item"], request["site"] = [], []
        self._add_details(kind, requests)
        return list(requests.values())

    def _add_details(self, kind: Kind, requests: dict[int, dict[str, Any]]) -> None:
        if not requests:
            return
        reach = (kind, min(requests), max(requests))
        between = "WHERE kind = ? AND request_id BETWEEN ? AND ?"
        for table, column, order in (
            ("request_items", "item", ""),
            ("request_sites", "site", "ORDER BY site"),
        ):
            for number, value in self._database.rows(
                f"SELECT request_id, {column} FROM {table} {between} {order}", reach
            ):
                if number in requests:
                    requests[number][column].append(value)
        for number, item, site, status, updated in self._database.rows(
            f"SELECT request_id, item, site, status, updated FROM request_actions {between} ORDER BY id",
            reach,
        ):
            if number in requests:
                action = {"item": item, "site": site, "status": status, "updated": updated}
                requests[number].setdefault("active", []).append(action)

    def _add_parts(self, kind: Kind, number: int, items: Iterable[str], sites: Iterable[str]) -> None:
        for table, column, values in (("request_items", "item", items), ("request_sites", "site", sites)):
            self._database.execute_many(
                f"INSERT INTO {table} (kind, request_id, {column}) VALUES (?, ?, ?)",
                [(kind, number, value) for value in dict.fromkeys(values)],
            )


def _check_parts(items: list[str], sites: list[str]) -> None:
    for name, parts in (("items", items), ("sites", sites)):
        if not 0 < len(parts) <= MAX_PARTS:
            raise Refused(f"A request has {len(parts)} {name}; give 1 to {MAX_PARTS}")
