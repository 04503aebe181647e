"""The rules that hold for every class of the inventory."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
from dynamo.core.inventory import ObjectRepository
from dynamo.dataformat import (
    Block,
    BlockReplica,
    Dataset,
    DatasetReplica,
    File,
    Group,
    IntegrityError,
    ObjectError,
    Partition,
    Site,
    SitePartition,
)
from dynamo.policy.partition_file import parse_partitions

SIGNATURES = {
    Dataset: "name status data_type software_version last_update is_open did",
    Block: "name dataset size num_files is_open last_update bid internal_name",
    File: "lfn block size checksum fid",
    Group: "name olevel gid",
    Site: "name host storage_type backend status filename_mapping x509proxy sid",
    Partition: "name condition pid",
    SitePartition: "site partition quota",
    DatasetReplica: "dataset site growing group",
    BlockReplica: "block site group is_custodial size last_update file_ids",
}


@pytest.fixture
def inventory() -> ObjectRepository:
    found = ObjectRepository()
    found.define_partitions(
        parse_partitions("One: dataset.name == /D/1\nTwo: dataset.name == /D/2\nBoth: [One, Two]")
    )
    for group in ("g", "h"):
        found.update(Group(group))
    found.update(Site("S", "host", status="ready"))
    found.update(Dataset("/D/1", "valid"))
    found.update(Block("b", "/D/1", 30, 2))
    for name, size in (("/f1", 10), ("/f2", 20)):
        found.update(File(name, "/D/1#b", size))
    found.update(DatasetReplica("/D/1", "S", True, "g"))
    found.update(BlockReplica("/D/1#b", "S", "g"))
    found.commands.clear()
    return found


@pytest.mark.parametrize("kind", SIGNATURES, ids=lambda kind: kind.__name__)
def test_constructors_take_what_scripts_give_in_this_order(kind: type[Any]) -> None:
    parameters = list(inspect.signature(kind).parameters)
    assert parameters == SIGNATURES[kind].split()


@pytest.mark.parametrize(
    ("free", "changed"),
    [
        (Dataset("/D/1", "valid"), Dataset("/D/1", "production")),
        (Block("b", "/D/1", 30, 2), Block("b", "/D/1", 30, 2, True)),
        (Group("g"), Group("g", "Dataset")),
        (Site("S", "host", status="ready"), Site("S", "other", status="ready")),
        (SitePartition("S", "One"), SitePartition("S", "One", 5)),
        (DatasetReplica("/D/1", "S", True, "g"), DatasetReplica("/D/1", "S", True, "h")),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_equal_object_is_no_change_and_another_one_is_found_by_its_name(
    inventory: ObjectRepository, free: Any, changed: Any
) -> None:
    embedded = inventory.update(free)
    assert inventory.commands == []
    assert embedded is not free
    assert inventory.update(changed) is embedded
    assert embedded == changed
    assert [command.action for command in inventory.commands] == ["update"]


def test_an_update_overwrites_with_defaults_too_and_nothing_leaks(inventory: ObjectRepository) -> None:
    free = Dataset("/New", "valid", last_update=7)
    embedded = inventory.update(free)
    free.status, free.attr["x"] = Dataset.STAT_IGNORED, 1
    assert (embedded.status, embedded.attr) == (Dataset.STAT_VALID, {})
    inventory.update(Dataset("/New"))
    assert (embedded.status, embedded.last_update) == (Dataset.STAT_UNKNOWN, 0)


def test_changes_are_noted_in_their_order_even_when_they_are_taken_back(inventory: ObjectRepository) -> None:
    inventory.update(Group("x"))
    inventory.delete(Group("x"))
    inventory.update(Group("x"))
    assert [(command.action, command.obj["name"]) for command in inventory.commands] == [
        ("update", "x"),
        ("delete", "x"),
        ("update", "x"),
    ]
    inventory.clear_update()
    assert inventory.commands == []
    assert "x" in inventory.groups


def test_unknown_objects_are_deleted_without_a_word(inventory: ObjectRepository) -> None:
    for free in (Dataset("/No"), Block("n", "/No"), Site("No"), Group("no"), DatasetReplica("/No", "No")):
        assert inventory.delete(free) is None
    assert inventory.commands == []
    for refused in (Group(None), SitePartition("S", "One")):
        with pytest.raises(ObjectError):
            inventory.delete(refused)


def test_the_last_block_replica_takes_its_dataset_replica_along(inventory: ObjectRepository) -> None:
    inventory.delete(BlockReplica("/D/1#b", "S", None))
    assert inventory.datasets["/D/1"].replicas == set()
    assert list(inventory.sites["S"].dataset_replicas()) == []


def test_sizes_of_block_replicas(inventory: ObjectRepository) -> None:
    block = inventory.datasets["/D/1"].find_block("b", must_find=True)
    site = inventory.sites["S"]
    assert BlockReplica(block, site, None).size == 30
    assert BlockReplica(block, site, None, size=0).file_ids == ()
    assert BlockReplica(block, site, None, size=30).is_complete()
    with pytest.raises(ObjectError):
        BlockReplica(block, site, None, size=10)
    part = BlockReplica(block, site, None, size=10, file_ids=["/f1"])
    assert (part.is_complete(), part.num_files) == (False, 1)


def test_a_replica_is_full_partial_or_projected(inventory: ObjectRepository) -> None:
    replica = inventory.datasets["/D/1"].find_replica("S", must_find=True)
    assert replica is not None
    assert (replica.is_complete(), replica.is_full(), replica.is_partial()) == (True, True, False)
    inventory.update(Block("c", "/D/1", 5, 0))
    assert (replica.is_full(), replica.is_partial()) == (False, True)
    inventory.update(BlockReplica("/D/1#b", "S", "g", size=10, file_ids=["/f1"]))
    assert (replica.is_complete(), replica.size(), replica.size(physical=False)) == (False, 10, 30)


def test_the_quota_of_a_union_is_the_sum_of_its_parts(inventory: ObjectRepository) -> None:
    for name, quota in (("One", 5), ("Two", 7)):
        inventory.update(SitePartition("S", name, quota))
    share = inventory.sites["S"].partitions[inventory.partitions["Both"]]
    assert share.quota == 12
    assert share.occupancy_fraction() == 30 / 12
    with pytest.raises(IntegrityError):
        share.set_quota(3)
    with pytest.raises(IntegrityError):
        inventory.sites["S"].partitions[inventory.partitions["One"]].set_quota(-1)


def test_mappings_give_snapshots(inventory: ObjectRepository) -> None:
    for name, obj in inventory.datasets.items():
        inventory.delete(obj)
        assert name not in inventory.datasets
    assert None in inventory.groups
    for group in inventory.groups.values():
        if group.name is not None:
            inventory.delete(group)
    assert list(inventory.groups.keys()) == [None]
