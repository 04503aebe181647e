"""What fills in attributes of datasets before a policy looks at them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from dynamo.core.inventory import ObjectRepository
from dynamo.core.master.database import open_master
from dynamo.core.registry.desk import Desk
from dynamo.core.serverconfig import MasterConfig
from dynamo.dataformat import Block, BlockReplica, ConfigurationError, Dataset, DatasetReplica, Group, Site
from dynamo.policy.condition import ReplicaCondition
from dynamo.policy.producers import (
    EnforcerRule,
    produce_enforced,
    produce_locks,
    produce_values,
    read_values,
)


@pytest.fixture
def inventory() -> ObjectRepository:
    """/A/1 and /A/2 of blocks x and y at S and T; at T block y belongs to h, all others to g."""
    found = ObjectRepository()
    for group in ("g", "h"):
        found.update(Group(group))
    for site in ("S", "T"):
        found.update(Site(site, status="ready"))
    for name in ("/A/1", "/A/2"):
        found.update(Dataset(name, "valid"))
        for block in ("x", "y"):
            found.update(Block(block, name, 10, 1))
        for site in ("S", "T"):
            found.update(DatasetReplica(name, site))
            for block in ("x", "y"):
                group = "h" if (block, site) == ("y", "T") else "g"
                found.update(BlockReplica(f"{name}#{block}", site, group))
    return found


def _locked(inventory: ObjectRepository) -> set[str]:
    """The block replicas that a policy sees as locked."""
    condition = ReplicaCondition("blockreplica.is_locked")
    return {
        f"{dataset.name}#{replica.block.real_name()} {replica.site.name}"
        for dataset in inventory.datasets.values()
        for block in dataset.blocks
        for replica in block.replicas
        if condition.match(replica)
    }


ONE = {"/A/1#x S", "/A/1#y S", "/A/1#x T", "/A/1#y T"}


@pytest.mark.parametrize(
    ("lock", "wanted"),
    [
        ({"item": "/A/1"}, ONE),
        ({"item": "/A/1", "sites": "T"}, {"/A/1#x T", "/A/1#y T"}),
        ({"item": "/A/1", "groups": "h"}, {"/A/1#y T"}),
        ({"item": "/A/1", "groups": "h", "sites": "S"}, set()),
        ({"item": "/A/1#x"}, {"/A/1#x S", "/A/1#x T"}),
        ({"item": "/A/*#y", "sites": "S"}, {"/A/1#y S", "/A/2#y S"}),
        ({"item": "/A/1", "sites": "*", "groups": "*"}, ONE),
        ({"item": "/Nothing"}, set()),
    ],
)
def test_locks_name_datasets_or_blocks_sites_and_groups(
    inventory: ObjectRepository, lock: dict[str, Any], wanted: set[str]
) -> None:
    produce_locks(inventory, [lock])
    assert _locked(inventory) == wanted


def test_several_locks_add_up(inventory: ObjectRepository) -> None:
    produce_locks(inventory, [{"item": "/A/1#x", "sites": "S"}, {"item": "/A/1#y", "sites": "S"}])
    assert inventory.datasets["/A/1"].attr["locked_blocks"] == {inventory.sites["S"]: None}
    produce_locks(inventory, [{"item": "/A/1#x", "sites": "S"}])
    assert _locked(inventory) == {"/A/1#x S", "/A/1#y S"}


def test_a_lock_that_has_expired_locks_nothing(inventory: ObjectRepository, tmp_path: Path) -> None:
    desk = Desk(open_master(MasterConfig(path=str(tmp_path / "server.db"))))
    for item, expires in (("/A/1", 4_000_000_000), ("/A/2", 1)):
        arguments = {"user": "u", "dn": "/CN=u", "service": None, "item": item, "sites": None, "groups": None}
        desk.answer(
            "deletion_locks.lock", {**arguments, "expires": expires, "comment": None}, may_change=True
        )
    locks = desk.answer("deletion_locks.listed", {}, may_change=False)
    produce_locks(inventory, locks)
    assert _locked(inventory) == ONE


def test_values_of_a_file_become_attributes_and_unknown_datasets_are_passed_over(
    inventory: ObjectRepository, tmp_path: Path
) -> None:
    path = tmp_path / "values.json"
    path.write_text(
        json.dumps({"/A/1": {"global_usage_rank": 5, "num_access": 3}, "/Gone": {"last_access": 1}})
    )
    values, names = read_values(path)
    assert names == {"global_usage_rank", "num_access", "last_access"}
    produce_values(inventory, values)
    assert inventory.datasets["/A/1"].attr == {"global_usage_rank": 5, "num_access": 3}
    condition = ReplicaCondition("dataset.usage_rank > 4")
    matching = [
        name for name, dataset in inventory.datasets.items() if condition.match(next(iter(dataset.replicas)))
    ]
    assert matching == ["/A/1"]


@pytest.mark.parametrize("text", ["", "[]", '{"/A/1": 5}', "{"])
def test_a_file_that_holds_no_values_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "values.json"
    path.write_text(text)
    with pytest.raises(ConfigurationError, match=r"values\.json is no file of JSON"):
        read_values(path)


def test_copies_without_which_a_rule_would_break_are_protected(inventory: ObjectRepository) -> None:
    rule = {"destinations": ["site.name == *"], "target_datasets": ["dataset.name == /A/1"]}
    condition = ReplicaCondition("replica.enforcer_protected")

    def protected() -> set[str]:
        return {
            f"{dataset.name} {replica.site.name}"
            for dataset in inventory.datasets.values()
            for replica in dataset.replicas
            if condition.match(replica)
        }

    produce_enforced(inventory, [EnforcerRule("one", {**rule, "num_copies": 1})])
    assert protected() == set()  # one of the two may go
    produce_enforced(inventory, [EnforcerRule("at T", {**rule, "destinations": ["site.name == T"]})])
    assert protected() == {"/A/1 T"}
    produce_enforced(inventory, [EnforcerRule("two", {**rule, "num_copies": 2})])
    assert protected() == {"/A/1 S", "/A/1 T"}
