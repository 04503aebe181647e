"""Detox on a real server: it explains itself, and what it deletes belongs to nobody afterwards."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import dynamo.exec.detox

from tests.dynamo.single_server import SingleServer

POLICY = """
Partition Owned
On site.name == D*
When site.occupancy > 0.5
Until site.occupancy < 0.3
Protect dataset.name == /Keep/*
Dismiss
Order increasing dataset.last_update
"""

FILL = """
from dynamo.core.executable import inventory
from dynamo.dataformat import *

inventory.update(Group("g"))
inventory.update(Site("D1", status="ready"))
inventory.update(SitePartition("D1", "Owned", 100))
for number, name in enumerate(["/Keep/1", "/Old/1", "/New/1"]):
    inventory.update(Dataset(name, last_update=number))
    inventory.update(Block("b", name, size=25))
    inventory.update(DatasetReplica(name, "D1", True, "g"))
    inventory.update(BlockReplica(name + "#b", "D1", "g"))
"""


def test_detox_explains_every_decision_and_disowns_what_it_deletes(server: SingleServer) -> None:
    fill = server.script(FILL, "fill.py")
    detox = str(Path(dynamo.exec.detox.__file__))
    for path, title in ((fill, "fill"), (detox, "detox")):
        assert server.run("exec_auth", "-x", path, "-t", title).returncode == 0
    assert server.dynamo("-W", "-t", "fill", fill).returncode == 0
    with tempfile.TemporaryDirectory(prefix="dynamo-policy-") as name:
        Path(name).chmod(0o755)  # programs run as another user
        policy = Path(name) / "policy.txt"
        policy.write_text(POLICY)
        tried = server.dynamo(f"{detox} -p {policy} --test")
        assert tried.returncode == 0, tried.stderr
        assert "D1: 75 B of 100 B (75.0 %); afterwards 25 B of 100 B (25.0 %)" in tried.stdout
        assert "protect /Keep/1 (b): line 1 `Protect dataset.name == /Keep/*`" in tried.stdout
        assert "because dataset.name = /Keep/1" in tried.stdout
        assert (
            "delete  /Old/1 (b): default `Dismiss`\n          because site.occupancy = 0.75, dataset.last_update = 1\n"
            in tried.stdout
        )
        looked = server.dynamo(f"{detox} -p {policy} --test --json")
        assert {row["decision"] for row in json.loads(looked.stdout)} == {"delete", "protect"}
        refused = server.dynamo(f"{detox} -p {policy}")
        assert refused.returncode == 1
        done = server.dynamo("-W", "-t", "detox", f"{detox} -p {policy}")
        assert done.returncode == 0, done.stderr
        assert "2 block replicas belong to nobody now." in done.stderr
        assert server.dynamo(f"{detox} -p {policy}.missing --test").returncode == 1
    stored = server.inventory().sites["D1"]
    owners = {
        replica.dataset.name: ({member.group.name for member in replica.block_replicas}, replica.growing)
        for replica in stored.dataset_replicas()
    }
    assert owners == {"/Keep/1": ({"g"}, True), "/Old/1": ({None}, False), "/New/1": ({None}, False)}
