"""`zos.statistics.get`, `zos.storage.pools` and `zos.storage.left_alone`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import psutil

import rmb
from gridtypes import Capacity
from zosd.api.table import Handler
from zosd.books import Books
from zosd.capacity import Media, system
from zosd.journal.journal import Journal
from zosd.journal.ledger import Ledger
from zosd.machine import Machine


class Statistics:
    def __init__(self, journal: Journal, books: Books, machine: Machine) -> None:
        self._journal = journal
        self._books = books
        self._machine = machine

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "statistics.get": self.get,
            "storage.pools": self.pools,
            "storage.left_alone": self.left_alone,
        }

    async def get(self, request: rmb.Request) -> dict[str, Any]:
        facts = await self._machine.facts()
        kept = system(facts)
        return {
            "total": _shown(facts.total),
            "used": _shown(self._books.used + kept),
            "system": _shown(kept),
            "users": users(self._journal.ledger),
            "open_connections": _open_connections(),
        }

    async def pools(self, request: rmb.Request) -> list[dict[str, Any]]:
        pools = sorted(await self._machine.pools(), key=lambda pool: pool.media is Media.HDD)
        return [
            {"name": pool.name, "type": pool.media.value, "size": pool.size, "used": pool.used}
            for pool in pools
        ]

    async def left_alone(self, request: rmb.Request) -> list[dict[str, str]]:
        """Disks that the node was told to use and does not, each with the reason."""
        return [{"path": disk.path, "reason": disk.reason} for disk in self._machine.disks_left_alone]


def users(ledger: Ledger) -> dict[str, int]:
    """Counts of what is in `ok` or `paused`, and when the newest of it got there (Unix seconds)."""
    deployments = workloads = newest = 0
    for record in ledger.all():
        healthy = list(record.healthy)
        deployments += bool(healthy)
        workloads += len(healthy)
        newest = max([newest, *(workload.result.created for workload in healthy)])
    return {
        "deployments": deployments,
        "workloads": workloads,
        "last_deployment_timestamp": newest,
    }


def _shown(capacity: Capacity) -> dict[str, int]:
    return {
        "cru": capacity.cru,
        "sru": capacity.sru,
        "hru": capacity.hru,
        "mru": capacity.mru,
        "ipv4u": capacity.ipv4u,
    }


def _open_connections() -> int:
    """Established TCP connections of the node's own network namespace."""
    connections = psutil.net_connections(kind="tcp")
    return sum(connection.status == psutil.CONN_ESTABLISHED for connection in connections)
