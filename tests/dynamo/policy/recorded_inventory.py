"""The fixed inventory that the recorded policies and conditions were evaluated on."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from dynamo.core.inventory import ObjectRepository
from dynamo.dataformat import Block, BlockReplica, Dataset, DatasetReplica, Group, Site, SitePartition
from dynamo.policy.partition_file import parse_partitions

TB = 10**12


def seconds(date: str) -> int:
    return int(datetime.fromisoformat(date).replace(tzinfo=UTC).timestamp())


def build(spec: dict[str, Any]) -> ObjectRepository:
    inventory = ObjectRepository()
    inventory.define_partitions(
        parse_partitions("\n".join(f"{name}: {text}" for name, text in spec["partitions"]))
    )
    for name, level in spec["groups"]:
        inventory.update(Group(name, level))
    for name, storage_type, status, quota in spec["sites"]:
        inventory.update(Site(name, storage_type=storage_type, status=status))
        for partition, _ in spec["partitions"]:
            inventory.update(SitePartition(name, partition, quota * TB))
    for name, status, data_type, date, blocks in spec["datasets"]:
        inventory.update(Dataset(name, status, data_type, last_update=seconds(date)))
        for block, size, num_files in blocks:
            inventory.update(Block(block, name, size=int(size * TB), num_files=num_files))
    for dataset, site, growing, group, members in spec["replicas"]:
        inventory.update(DatasetReplica(dataset, site, growing, group))
        for block, owner, size, date, custodial in members:
            replica = BlockReplica(
                f"{dataset}#{block}",
                site,
                owner,
                custodial,
                int(size * TB) if size > 0 else size,
                seconds(date),
            )
            inventory.update(replica)
    for dataset, name, value in spec["attrs"]:
        inventory.datasets[dataset].attr[name] = seconds(value) if name == "last_access" else value
    return inventory


def dataset_replicas(inventory: ObjectRepository) -> dict[str, DatasetReplica]:
    return {
        f"{site.name}:{replica.dataset.name}": replica
        for site in inventory.sites.values()
        for replica in site.dataset_replicas()
    }


def block_replicas(inventory: ObjectRepository) -> dict[str, BlockReplica]:
    return {
        f"{name}#{member.block.real_name()}": member
        for name, replica in dataset_replicas(inventory).items()
        for member in replica.block_replicas
    }
