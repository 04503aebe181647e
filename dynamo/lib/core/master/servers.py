"""The servers of a fleet."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import Any, NamedTuple

from dynamo.core.components.impl.database import Database

SILENT_S = 30
"""A server that was not heard of for so long counts as gone, in seconds."""


class ServerStatus(StrEnum):
    """What a server is doing."""

    INITIAL = "initial"
    STARTING = "starting"
    ONLINE = "online"
    UPDATING = "updating"
    ERROR = "error"
    OUTOFSYNC = "outofsync"
    DRAINING = "draining"

    @property
    def is_current(self) -> bool:
        """Has such a server an image that can be relied on?"""
        return self in (ServerStatus.ONLINE, ServerStatus.UPDATING, ServerStatus.DRAINING)


class ServerRow(NamedTuple):
    """A server: `silent` seconds since it was heard of, `sequence` of the last batch that it has applied."""

    name: str
    status: ServerStatus
    silent: int
    store_module: str
    store_config: dict[str, Any]
    sequence: int
    board_config: dict[str, Any]
    """Where others may write what has changed; empty without such a board."""


class Servers:
    """The table of servers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def beat(
        self,
        name: str,
        status: ServerStatus,
        store_module: str,
        store_config: dict[str, Any],
        sequence: int,
        board_module: str = "",
        board_config: dict[str, Any] | None = None,
    ) -> None:
        """Say that a server lives, what it does, and where its store and its board are.  Passwords are left out."""
        self._database.execute(
            "REPLACE INTO servers (hostname, last_heartbeat, status, store_module, store_config, store_version,"
            f" board_module, board_config) VALUES (?, {self._database.clock}, ?, ?, ?, ?, ?, ?)",
            (
                name,
                status,
                store_module,
                json.dumps(_public(store_config)),
                sequence,
                board_module,
                json.dumps(_public(board_config or {})),
            ),
        )

    def remove(self, name: str) -> None:
        """Forget a server that stops."""
        self._database.execute("DELETE FROM servers WHERE hostname = ?", (name,))

    def order_to_drain(self, name: str, wanted: bool) -> bool:
        """Tell a server to leave as soon as it has finished what it does, or not to; False for an unknown one."""
        if all(row.name != name for row in self.listed()):
            return False
        if wanted:
            self._database.execute("REPLACE INTO server_orders (hostname, word) VALUES (?, 'drain')", (name,))
        else:
            self.forget_orders(name)
        return True

    def shall_drain(self, name: str) -> bool:
        """Was a server told to leave?"""
        rows = self._database.rows(
            "SELECT 1 FROM server_orders WHERE hostname = ? AND word = 'drain'", (name,)
        )
        return any(True for _ in rows)

    def forget_orders(self, name: str) -> None:
        """Nothing is wanted of a server any more."""
        self._database.execute("DELETE FROM server_orders WHERE hostname = ?", (name,))

    def listed(self) -> list[ServerRow]:
        """All servers by name."""
        rows = self._database.rows(
            f"SELECT hostname, status, {self._database.clock} - last_heartbeat, store_module, store_config,"
            " store_version, board_config FROM servers ORDER BY hostname"
        )
        return [
            ServerRow(
                name,
                ServerStatus(status),
                int(silent),
                module,
                json.loads(config),
                int(sequence),
                json.loads(board or "{}"),
            )
            for name, status, silent, module, config, sequence, board in rows
        ]


def _public(config: dict[str, Any]) -> dict[str, Any]:
    """A configuration without the passwords of its database."""
    public = {key: value for key, value in config.items() if key != "db_params"}
    if "db_params" in config:
        params = config["db_params"]
        public["db_params"] = {key: value for key, value in params.items() if "pass" not in key}
    return public
