"""The inventory, the callers and the requests of the recorded run, asked without a server."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dynamo.core.dn import dn_of_text
from dynamo.core.inventory import DynamoInventory
from dynamo.core.registry.access import Registry
from dynamo.core.registry.desk import Desk
from dynamo.dataformat import Block, BlockReplica, Configuration, Dataset, DatasetReplica, File, Site
from dynamo.web.answer import Answer, WebRequest, path_parts, respond
from dynamo.web.fleet_now import FleetNow
from dynamo.web.loader import Loader
from dynamo.web.request import NOBODY, Caller

from tests.dynamo.policy.recorded_inventory import build
from tests.shared import vectors

JANE = Caller("jane", "/DC=org/DC=example/CN=Jane Doe", 1, [("admin", "inventory"), ("admin", "application")])
BOB = Caller("bob", "/DC=org/DC=example/CN=Bob", 2, [])
CONFIG = Configuration({"request": {"copy": {"default_group": "gb"}}, "detox": {"default_partition": "All"}})


def recorded_inventory(folder: Path) -> DynamoInventory:
    """It, with its store in this folder."""
    path = folder / "partitions.txt"
    path.write_text("All: dataset.name == *\nOwned: blockreplica.owner != None\n")
    server = DynamoInventory(
        {
            "persistency": {
                "module": "sqlitestore:SQLiteInventoryStore",
                "config": {"path": str(folder / "store.db")},
            },
            "partition_def_path": str(path),
        }
    )
    server.load()
    built = build(vectors("inventory")["policy"]["inventory_spec"])
    commands = [
        (command.action, {**command.obj})
        for command in built.commands
        if command.obj.get("partition") not in ("Own", "Owned")
    ]
    server.apply(commands)
    for name in list(server.sites):
        site = server.sites[name]
        pfn = f"gsiftp://{name.lower()}{{0}}"
        server.update(
            Site(
                name,
                f"se.{name.lower()}.org",
                site.storage_type,
                "",
                site.status,
                {"gfal2": [[["(/store/.*)", pfn]]]},
            )
        )
    server.update(Dataset("/F/1", "valid", "test"))
    server.update(Block("f", "/F/1", size=30, num_files=2))
    server.update(DatasetReplica("/F/1", "T2_A", True, "gb"))
    server.update(BlockReplica("/F/1#f", "T2_A", "gb", last_update=1517443200))
    for lfn, size in (("/F/file1", 10), ("/F/file2", 20)):
        server.update(File(lfn, "/F/1#f", size))
    return server


def ask(inventory: DynamoInventory, loader: Loader, case: dict[str, Any], desk: Desk | None = None) -> Answer:
    """What a module answers to a recorded request."""
    mode, module, command = path_parts(case["path"])
    caller = NOBODY
    if case["scheme"] == "https":
        dn = dn_of_text(case["client_dn"])
        caller = JANE if dn.startswith(str(JANE.dn)) else BOB
    request = WebRequest(
        mode,
        module,
        command,
        case["method"],
        case["query"],
        (case.get("body") or "").encode(),
        case.get("content_type"),
        caller,
        case["scheme"] == "https",
    )
    registry = None
    if desk is not None:
        registry = Registry(
            lambda name, args: desk.answer(name, json.loads(json.dumps(args)), may_change=True)
        )
    return respond(request, loader, CONFIG, inventory.create_proxy(), registry, now=FleetNow())
