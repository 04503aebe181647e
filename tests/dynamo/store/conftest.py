"""The same tests on every kind of store."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from dynamo.core.inventory import DynamoInventory

from tests.dynamo.mariadb import MariaDB
from tests.dynamo.operations import PARTITIONS


class Opener:
    """Opens the inventory of a folder; each folder has a store of its own."""

    def __init__(self, server: MariaDB | None) -> None:
        self._server = server
        self._databases: dict[Path, dict[str, Any]] = {}

    def persistency(self, folder: Path) -> dict[str, Any]:
        if self._server is None:
            return {
                "module": "sqlitestore:SQLiteInventoryStore",
                "config": {"path": str(folder / "store.db")},
            }
        if folder not in self._databases:
            self._databases[folder] = self._server.create(f"dynamo{abs(hash(folder))}")
        return {"module": "mysqlstore:MySQLInventoryStore", "config": {"db_params": self._databases[folder]}}

    def __call__(self, folder: Path) -> DynamoInventory:
        definitions = folder / "partitions.txt"
        if not definitions.exists():
            definitions.write_text(PARTITIONS)
        inventory = DynamoInventory(
            {"persistency": self.persistency(folder), "partition_def_path": str(definitions)}
        )
        inventory.load()
        return inventory


@pytest.fixture(params=["sqlite", "mariadb"])
def opened(request: pytest.FixtureRequest) -> Opener:
    return Opener(request.getfixturevalue("mariadb") if request.param == "mariadb" else None)
