"""The store of a single server: one SQLite file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dynamo.core.components.impl.schema import definitions
from dynamo.core.components.impl.sqlite_database import SQLiteDatabase
from dynamo.core.components.impl.sqlstore import SQLInventoryStore
from dynamo.dataformat import ConfigurationError

TEXTS = {f"text{limit}": "TEXT" for limit in (16, 32, 64, 128, 256, 512, 1024, 2048)}


class SQLiteInventoryStore(SQLInventoryStore):
    """Configuration: `path` of the file, which is made when it is missing, and `read_only`."""

    def __init__(self, config: dict[str, Any]) -> None:
        unknown = set(config) - {"path", "read_only"}
        if unknown or not isinstance(config.get("path"), str):
            raise ConfigurationError(
                f"A store in SQLite is configured by `path` (and `read_only`), not by {sorted(config)}"
            )
        self.config = dict(config)
        read_only = bool(config.get("read_only", False))
        self.database = SQLiteDatabase(Path(config["path"]), read_only)
        if not read_only:
            for statement in definitions(key="INTEGER PRIMARY KEY", int="INTEGER", flag="INTEGER", **TEXTS):
                self.database.execute(statement)

    def release(self) -> None:
        self.database.close()

    def new_handle(self, read_only: bool = True) -> SQLiteInventoryStore:
        handle = SQLiteInventoryStore({**self.config, "read_only": read_only})
        handle.by_name = self.by_name
        return handle

    def open_snapshot(self) -> SQLiteInventoryStore:
        handle = self.new_handle()
        handle.database.begin_snapshot()
        return handle
