"""The store of a server of a fleet: a database of a MariaDB server."""

from __future__ import annotations

from typing import Any

from dynamo.core.components.impl.mysql_database import MySQLDatabase
from dynamo.core.components.impl.schema import definitions
from dynamo.core.components.impl.sqlstore import SQLInventoryStore
from dynamo.dataformat import ConfigurationError

# Binary, and blanks at the end of a name count.
_COLLATION = "CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin"
TEXTS = {
    f"text{limit}": f"VARCHAR({limit}) {_COLLATION}" for limit in (16, 32, 64, 128, 256, 512, 1024, 2048)
}


class MySQLInventoryStore(SQLInventoryStore):
    """Configuration: `db_params`, see `MySQLDatabase`.  Tables that are missing are made."""

    def __init__(self, config: dict[str, Any]) -> None:
        if set(config) != {"db_params"}:
            raise ConfigurationError(
                f"A store in MariaDB is configured by `db_params`, not by {sorted(config)}"
            )
        self._params = dict(config["db_params"])
        self.database = MySQLDatabase(self._params)
        if not self._params.get("read_only"):
            for statement in definitions(
                key="BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY", int="BIGINT", flag="TINYINT", **TEXTS
            ):
                kind = " ENGINE=InnoDB" if statement.startswith("CREATE TABLE") else ""
                self.database.execute(statement + kind)

    def release(self) -> None:
        """Nothing to do: a child closes its copy of the connection without a word to the server."""

    def new_handle(self, read_only: bool = True) -> MySQLInventoryStore:
        params = self._params
        if read_only and self.readonly_config is not None:
            params = self.readonly_config["db_params"]
        handle = MySQLInventoryStore({"db_params": {**params, "read_only": read_only}})
        handle.by_name = self.by_name
        return handle

    def open_snapshot(self) -> MySQLInventoryStore:
        handle = self.new_handle()
        handle.database.begin_snapshot()
        return handle
