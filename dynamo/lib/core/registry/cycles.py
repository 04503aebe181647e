"""History of the cycles of policies: what was decided, by which line, on which values."""

from __future__ import annotations

import hashlib
import json
import time
from typing import Any

from dynamo.core.components.impl.database import Database
from dynamo.core.registry.access import MAX_ROWS, Refused

KEPT = 100
"""How many cycles of a partition are kept, and of tests as many."""

Decision = dict[str, Any]
"""site, dataset, decision (delete, keep, protect, copy), blocks, size in bytes, rule, line, values."""


class Cycles:
    """The tables of cycles and decisions."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(
        self,
        token: str,
        operation: str,
        partition: str,
        policy: str,
        sites: list[dict[str, Any]],
        comment: str = "",
        is_test: bool = False,
    ) -> int:
        """Add a cycle under a name that its program has chosen; its number.

        `sites` are rows with site, quota, before and after in bytes.
        """
        digest = hashlib.sha256(policy.encode()).hexdigest()
        known = any(True for _ in self._database.rows("SELECT 1 FROM policies WHERE hash = ?", (digest,)))
        if not known:
            self._database.execute("INSERT INTO policies VALUES (?, ?)", (digest, policy.encode()))
        number = self._database.execute(
            "INSERT INTO policy_cycles (token, operation, partition_name, policy_hash, comment, is_test,"
            " started, sites) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                token,
                operation,
                partition,
                digest,
                comment[:512],
                int(is_test),
                int(time.time()),
                json.dumps(sites).encode(),
            ),
        )
        old = [row["cycle"] for row in self.listed(operation, partition, is_test, limit=10 * KEPT)][KEPT:]
        self._database.execute_many("DELETE FROM policy_cycles WHERE id = ?", [(cycle,) for cycle in old])
        return number

    def decide(self, token: str, decisions: list[Decision]) -> None:
        """Add decisions to a cycle.  Raises Refused for an unknown one."""
        for (number,) in list(self._database.rows("SELECT id FROM policy_cycles WHERE token = ?", (token,))):
            self._database.execute_many(
                "INSERT INTO cycle_decisions (cycle_id, site, dataset, decision, size, rule, line, details)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        number,
                        row["site"],
                        row["dataset"],
                        row["decision"],
                        row["size"],
                        row["rule"],
                        str(row["line"])[:1024],
                        json.dumps({"blocks": row["blocks"], "values": row["values"]}, default=str).encode(),
                    )
                    for row in decisions
                ],
            )
            return
        raise Refused(f"Unknown cycle {token!r}")

    def partitions(self, operation: str = "detox", is_test: bool = False) -> list[str]:
        """Partitions that have cycles."""
        rows = self._database.rows(
            "SELECT DISTINCT partition_name FROM policy_cycles WHERE operation = ? AND is_test = ?"
            " ORDER BY partition_name",
            (operation, int(is_test)),
        )
        return [str(name) for (name,) in rows]

    def listed(
        self, operation: str, partition: str, is_test: bool = False, limit: int = KEPT
    ) -> list[dict[str, Any]]:
        """Cycles of a partition, newest first."""
        rows = self._database.rows(
            "SELECT id, partition_name, policy_hash, comment, started, sites FROM policy_cycles"
            " WHERE operation = ? AND partition_name = ? AND is_test = ? ORDER BY id DESC LIMIT ?",
            (operation, partition, int(is_test), limit),
        )
        names = ("cycle", "partition", "policy", "comment", "started")
        return [{**dict(zip(names, row[:5], strict=True)), "sites": json.loads(row[5])} for row in rows]

    def totals(self, cycle: int) -> list[dict[str, Any]]:
        """Bytes and datasets by site and decision."""
        rows = self._database.rows(
            "SELECT site, decision, SUM(size), COUNT(*) FROM cycle_decisions WHERE cycle_id = ?"
            " GROUP BY site, decision ORDER BY site, decision",
            (cycle,),
        )
        return [
            {"site": site, "decision": decision, "size": int(size), "datasets": int(count)}
            for site, decision, size, count in rows
        ]

    def decisions(
        self, cycle: int, site: str | None = None, after: int = 0, limit: int = 1000
    ) -> list[dict[str, Any]]:
        """Decisions of a cycle, at one site or at all; `after` is the number of the last one that is known."""
        condition, values = ("", []) if site is None else (" AND site = ?", [site])
        rows = self._database.rows(
            "SELECT id, site, dataset, decision, size, rule, line, details FROM cycle_decisions"
            f" WHERE cycle_id = ? AND id > ?{condition} ORDER BY id LIMIT ?",
            (cycle, after, *values, max(0, min(limit, MAX_ROWS))),
        )
        names = ("id", "site", "dataset", "decision", "size", "rule", "line")
        return [{**dict(zip(names, row[:7], strict=True)), **json.loads(row[7])} for row in rows]

    def policy(self, digest: str) -> str | None:
        """The text of a policy."""
        for (body,) in self._database.rows("SELECT body FROM policies WHERE hash = ?", (digest,)):
            return bytes(body).decode()
        return None
