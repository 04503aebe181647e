"""An inventory as plain values, in the shape of the recorded snapshots."""

from __future__ import annotations

from typing import Any

from dynamo.dataformat import Block, BlockReplica, Dataset, Group, IntegrityError, Site
from dynamo.dataformat.repository import Repository

Value = dict[str, Any]


def snapshot(inventory: Repository, with_files: bool = False) -> Value:
    """Everything but numbers of the store; files that have such a number are named."""
    return {
        "datasets": {dataset.name: _dataset(dataset, with_files) for dataset in inventory.datasets.values()},
        "groups": {
            str(group.name) if group.name is not None else "null": Group.olevel_name(group.olevel)
            for group in inventory.groups.values()
        },
        "partitions": {
            partition.name: {
                "parent": partition.parent.name if partition.parent else None,
                "subpartitions": (
                    None
                    if partition.subpartitions is None
                    else sorted(part.name for part in partition.subpartitions)
                ),
            }
            for partition in inventory.partitions.values()
        },
        "sites": {site.name: _site(site) for site in inventory.sites.values()},
    }


def named_snapshot(inventory: Repository) -> Value:
    """Everything but numbers of the store, with names of files in the lists of partial replicas."""
    value = snapshot(inventory)
    for dataset in inventory.datasets.values():
        for block in dataset.blocks:
            for replica in block.replicas:
                if replica.file_ids is not None:
                    names = inventory.files.names(block)
                    place = value["datasets"][dataset.name]["replicas"][replica.site.name]["block_replicas"]
                    place[block.name]["file_ids"] = sorted(
                        str(names.get(member, member)) for member in replica.file_ids
                    )
    return value


def _dataset(dataset: Dataset, with_files: bool) -> Value:
    version = dataset.software_version
    return {
        "blocks": {block.name: _block(block, with_files) for block in dataset.blocks},
        "data_type": Dataset.data_type_name(dataset.data_type),
        "is_open": dataset.is_open,
        "last_update": dataset.last_update,
        "num_files": dataset.num_files,
        "replicas": {
            replica.site.name: {
                "block_replicas": {
                    member.block.name: _block_replica(member, with_files) for member in replica.block_replicas
                },
                "group": replica.group.name,
                "growing": replica.growing,
            }
            for replica in dataset.replicas
        },
        "size": dataset.size,
        "software_version": list(version) if isinstance(version, tuple) else version,
        "status": Dataset.status_name(dataset.status),
    }


def _block(block: Block, with_files: bool) -> Value:
    value: Value = {
        "is_open": block.is_open,
        "last_update": block.last_update,
        "num_files": block.num_files,
        "replicas": sorted(replica.site.name for replica in block.replicas),
        "size": block.size,
    }
    if with_files:
        try:
            value["files"] = {
                file.lfn: {"checksum": list(file.checksum), "size": file.size} for file in block.files
            }
        except IntegrityError:
            value["files"] = "ERROR IntegrityError"
    return value


def _block_replica(replica: BlockReplica, with_files: bool) -> Value:
    file_ids: list[Any] | None = None if replica.file_ids is None else list(replica.file_ids)
    if file_ids is not None and with_files:
        names = {file.id: file.lfn for file in replica.block.files if file.id}
        file_ids = sorted(str(names.get(member, member)) for member in file_ids)
    return {
        "file_ids": file_ids,
        "group": replica.group.name,
        "is_complete": replica.is_complete(),
        "is_custodial": replica.is_custodial,
        "last_update": replica.last_update,
        "size": replica.size,
    }


def _site(site: Site) -> Value:
    return {
        "backend": site.backend,
        "dataset_replicas": sorted(replica.dataset.name for replica in site.dataset_replicas()),
        "filename_mapping": {
            protocol: [[list(pair) for pair in chain] for chain in mapping.chains]
            for protocol, mapping in site.filename_mapping.items()
        },
        "host": site.host,
        "partitions": {
            partition.name: {
                "quota": share.quota,
                "replicas": {
                    replica.dataset.name: (
                        None if members is None else sorted(member.block.name for member in members)
                    )
                    for replica, members in share.replicas.items()
                },
            }
            for partition, share in site.partitions.items()
        },
        "status": Site.status_name(site.status),
        "storage_type": Site.storage_type_name(site.storage_type),
        "x509proxy": site.x509proxy,
    }


def patched(value: Value, changes: list[list[Any]]) -> Value:
    """A snapshot with the recorded `[path, original, ours]` changes applied."""
    for path, _, ours in changes:
        *parents, last = [part.replace("~1", "/").replace("~0", "~") for part in path.split("/")[1:]]
        place = value
        for part in parents:
            place = place[part]
        if ours == "absent":
            place.pop(last, None)
        else:
            place[last] = ours
    return value
