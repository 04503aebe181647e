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
        (File("/f1", "/D/1#b", 10), File("/f1", "/D/1#b", 11)),
        (Group("g"), Group("g", "Dataset")),
        (Site("S", "host", status="ready"), Site("S", "other", status="ready")),
        (SitePartition("S", "One"), SitePartition("S", "One", 5)),
        (DatasetReplica("/D/1", "S", True, "g"), DatasetReplica("/D/1", "S", True, "h")),
        (
            BlockReplica("/D/1#b", "S", "g", size=10, file_ids=["/f1"]),
            BlockReplica("/D/1#b", "S", "h", size=10, file_ids=["/f1"]),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_an_equal_object_is_no_change_and_another_one_is_found_by_its_name(
    inventory: ObjectRepository, free: Any, changed: Any
) -> None:
    if isinstance(free, BlockReplica):
        inventory.update(free)  # the one that is there is full
        inventory.clear_update()
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


@pytest.mark.parametrize(
    "free",
    [
        Dataset("/D/1"),
        Block("b", "/D/1"),
        File("/f1", "/D/1#b"),
        Group("g"),
        Site("S"),
        DatasetReplica("/D/1", "S"),
        BlockReplica("/D/1#b", "S", None),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_free_object_that_has_only_the_name_deletes_what_is_embedded(
    inventory: ObjectRepository, free: Any
) -> None:
    embedded = inventory.delete(free)
    assert type(embedded) is type(free)
    assert embedded is not free
    assert [(command.action, command.obj["class"]) for command in inventory.commands] == [
        ("delete", type(free).__name__)
    ]
    assert inventory.delete(free) is None
    assert len(inventory.commands) == 1


def test_a_full_free_block_replica_is_a_change_whenever_the_block_has_a_size(
    inventory: ObjectRepository,
) -> None:
    inventory.update(BlockReplica("/D/1#b", "S", "g"))
    assert len(inventory.commands) == 1


def _seen(inventory: ObjectRepository) -> dict[str, list[str]]:
    """What is left, found from every side."""
    datasets, sites = inventory.datasets.values(), inventory.sites.values()
    return {
        "datasets": [dataset.name for dataset in datasets],
        "blocks": sorted(block.full_name() for dataset in datasets for block in dataset.blocks),
        "replicas": sorted(
            f"{replica.dataset.name} {replica.group.name} {len(replica.block_replicas)}"
            for dataset in datasets
            for replica in dataset.replicas
        ),
        "block replicas": sorted(
            f"{replica.block.real_name()} {replica.group.name} {replica.size}"
            for dataset in datasets
            for block in dataset.blocks
            for replica in block.replicas
        ),
        "at the site": sorted(replica.dataset.name for site in sites for replica in site.dataset_replicas()),
        "in partitions": sorted(
            f"{partition.name} {replica.dataset.name}"
            for site in sites
            for partition, share in site.partitions.items()
            for replica in share.replicas
        ),
    }


WHOLE = {
    "datasets": ["/D/1", "/D/2"],
    "blocks": ["/D/1#b", "/D/1#c", "/D/2#d"],
    "replicas": ["/D/1 g 2", "/D/2 g 1"],
    "block replicas": ["b g 30", "c g 5", "d g 10"],
    "at the site": ["/D/1", "/D/2"],
    "in partitions": ["Both /D/1", "Both /D/2", "One /D/1", "Two /D/2"],
}
NO_D2 = {"replicas": ["/D/1 g 2"], "at the site": ["/D/1"], "in partitions": ["Both /D/1", "One /D/1"]}
NOWHERE: dict[str, list[str]] = {"replicas": [], "block replicas": [], "at the site": [], "in partitions": []}


@pytest.mark.parametrize(
    ("gone", "left"),
    [
        (
            Dataset("/D/2"),
            {
                **NO_D2,
                "datasets": ["/D/1"],
                "blocks": ["/D/1#b", "/D/1#c"],
                "block replicas": ["b g 30", "c g 5"],
            },
        ),
        (
            Block("d", "/D/2"),
            {**NO_D2, "blocks": ["/D/1#b", "/D/1#c"], "block replicas": ["b g 30", "c g 5"]},
        ),
        (
            Block("c", "/D/1"),
            {
                "blocks": ["/D/1#b", "/D/2#d"],
                "replicas": ["/D/1 g 1", "/D/2 g 1"],
                "block replicas": ["b g 30", "d g 10"],
            },
        ),
        (
            BlockReplica("/D/1#c", "S", None),
            {"replicas": ["/D/1 g 1", "/D/2 g 1"], "block replicas": ["b g 30", "d g 10"]},
        ),
        (BlockReplica("/D/2#d", "S", None), {**NO_D2, "block replicas": ["b g 30", "c g 5"]}),
        (DatasetReplica("/D/2", "S"), {**NO_D2, "block replicas": ["b g 30", "c g 5"]}),
        (File("/f3", "/D/2#d"), {"block replicas": ["b g 30", "c g 5", "d g 7"]}),
        (File("/f1", "/D/1#b"), {}),
        (
            Group("g"),
            {
                "replicas": ["/D/1 None 2", "/D/2 None 1"],
                "block replicas": ["b None 30", "c None 5", "d None 10"],
            },
        ),
        (Group("h"), {}),
        (Site("S"), NOWHERE),
    ],
    ids=lambda value: repr(value) if hasattr(value, "embed_into") else "",
)
def test_what_depends_on_a_deleted_object_goes_along(
    inventory: ObjectRepository, gone: Any, left: dict[str, list[str]]
) -> None:
    inventory.update(Block("c", "/D/1", 5, 0))
    inventory.update(BlockReplica("/D/1#c", "S", "g"))
    inventory.update(Dataset("/D/2"))
    inventory.update(Block("d", "/D/2", 12, 2))
    for name, size in (("/f3", 3), ("/f4", 7)):
        inventory.update(File(name, "/D/2#d", size))
    inventory.update(Block("d", "/D/2", 20, 3))
    inventory.update(DatasetReplica("/D/2", "S", True, "g"))
    inventory.update(BlockReplica("/D/2#d", "S", "g", size=10, file_ids=["/f3", "/f4"]))
    assert _seen(inventory) == WHOLE
    inventory.delete(gone)
    assert _seen(inventory) == {**WHOLE, **left}


def test_the_last_block_replica_takes_its_dataset_replica_along(inventory: ObjectRepository) -> None:
    inventory.delete(BlockReplica("/D/1#b", "S", None))
    assert inventory.datasets["/D/1"].replicas == set()
    assert list(inventory.sites["S"].dataset_replicas()) == []


@pytest.mark.parametrize("refused", [Partition("One"), SitePartition("S", "One"), Group(None)])
def test_what_cannot_be_deleted_is_refused_and_stays(inventory: ObjectRepository, refused: Any) -> None:
    before = _seen(inventory)
    with pytest.raises(ObjectError):
        inventory.delete(refused)
    assert _seen(inventory) == before
    assert inventory.commands == []


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
