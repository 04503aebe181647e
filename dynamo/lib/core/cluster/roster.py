"""Who belongs to the fleet: shown to people, and looked after by the primary."""

from __future__ import annotations

import logging
from typing import Any

from dynamo.core.components.impl.database import Database
from dynamo.core.master.applications import ApplicationQueue
from dynamo.core.master.changelog import ChangeLog
from dynamo.core.master.servers import SILENT_S, Servers

LOG = logging.getLogger(__name__)


class Roster:
    """All servers of the fleet."""

    def __init__(self, servers: Servers, log: ChangeLog, database: Database) -> None:
        self._servers = servers
        self._log = log
        self._queue = ApplicationQueue(database)

    def shown(self, primary: str | None) -> list[dict[str, Any]]:
        """All servers, for people.  Raises OperationalError."""
        last = self._log.last()
        return [
            {
                "name": row.name,
                "status": str(row.status) if row.silent <= SILENT_S else "silent",
                "silent": row.silent,
                "applied": row.sequence,
                "behind": max(0, last - row.sequence),
                "primary": row.name == primary,
                "store": "own" if row.store_module else f"of {row.store_config.get('lender') or 'nobody'}",
            }
            for row in self._servers.listed()
        ]

    def look_after(self, own: str) -> None:
        """Remove servers that have gone, end their applications, and forget the log that all have.

        The server `own`, who does it, is not gone.  Raises OperationalError.
        """
        rows = self._servers.listed()
        gone = [row.name for row in rows if row.silent > SILENT_S and row.name != own]
        for name in gone:
            LOG.error("Server %s has not been heard of for %d s", name, SILENT_S)
            self._servers.remove(name)
            self._servers.forget_orders(name)
        killed = self._queue.unfinished_of(gone)
        if killed:
            LOG.error("%d applications of servers that are gone are marked killed", killed)
        self._log.forget(min((row.sequence for row in rows), default=0))
