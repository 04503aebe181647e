"""Stores of other servers: where they are, and which one to read."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from typing import Any

from dynamo.core.components.persistency import InventoryStore
from dynamo.core.dynamoinventory import read_only_store
from dynamo.core.master.servers import ServerRow, Servers
from dynamo.core.serverconfig import Component
from dynamo.dataformat import OperationalError

LENDER_S = 8
"""A server that was not heard of for so long is not relied on, in seconds."""
_HERE = ("localhost", "127.0.0.1", "::1")


def advertised(store: Component | None) -> tuple[str, dict[str, Any]]:
    """Module and configuration of a store, as other servers reach it.

    `localhost` means nothing elsewhere, so it becomes the name of this machine.
    """
    if store is None:
        return "", {}
    config = dict(store.config)
    if "db_params" in config:
        params = dict(config["db_params"])
        if "socket" not in params and params.get("host", "localhost") in _HERE:
            params["host"] = socket.gethostname()
        config["db_params"] = params
    return store.module, config


def with_credentials(config: Mapping[str, Any], credentials: Mapping[str, str]) -> dict[str, Any]:
    """The advertised configuration of a store, with what this server itself is known by."""
    found = dict(config)
    if "db_params" in found and credentials:
        found["db_params"] = {**found["db_params"], **credentials}
    return found


class Sources:
    """What can be cloned, or borrowed."""

    def __init__(self, name: str, servers: Servers, credentials: Mapping[str, str]) -> None:
        """`credentials` are user and passwd of this server at databases of others."""
        self._name = name
        self._servers = servers
        self._credentials = dict(credentials)

    def any(self) -> bool:
        """Is there a server whose store can be read?"""
        return bool(self._usable())

    def has(self, name: str) -> bool:
        """Does a server run whose store can be read?"""
        return any(row.name == name for row in self._usable())

    def _usable(self) -> list[ServerRow]:
        rows = [
            row
            for row in self._servers.listed()
            if row.name != self._name
            and row.store_module
            and row.status.is_current
            and row.silent <= LENDER_S
        ]
        return sorted(rows, key=lambda row: (-row.sequence, row.name))

    def opened(self) -> tuple[str, InventoryStore]:
        """Name and store of the server that has applied most, of those whose store can be read.

        Raises OperationalError when there is none, with the reasons.
        """
        reasons = []
        for row in self._usable():
            try:
                return row.name, self._opened(row)
            except OperationalError as error:
                reasons.append(str(error))
        raise OperationalError("; ".join(reasons) or "no server with a store is online")

    def _opened(self, row: ServerRow) -> InventoryStore:
        store = read_only_store(row.store_module, with_credentials(row.store_config, self._credentials))
        sequence = store.version().sequence
        if sequence < row.sequence:
            store.close()
            # A path or a socket may lead to another one here.
            raise OperationalError(
                f"what is found as the store of {row.name} has batch {sequence} although that server has applied"
                f" {row.sequence}; a file or a socket can be read on its own machine only"
            )
        return store
