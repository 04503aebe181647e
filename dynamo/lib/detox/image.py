"""A private copy of what a policy looks at, in which deletions can be tried."""

from __future__ import annotations

from dynamo.dataformat import (
    BlockReplica,
    Dataset,
    DatasetReplica,
    Group,
    ObjectError,
    Partition,
    Site,
    SitePartition,
)
from dynamo.dataformat.partition import Reach
from dynamo.dataformat.repository import Repository


class _Original:
    """Membership as the original partition has it, which may be a union."""

    def __init__(self, partition: Partition) -> None:
        self._partition = partition

    @property
    def reach(self) -> Reach:
        return self._partition.reach

    def match(self, replica: BlockReplica) -> bool:
        return self._partition.contains(replica)


def private_image(inventory: Repository, partition_name: str) -> Repository:
    """All sites with their quota of a partition, and every dataset that has a replica in it, with all replicas.

    What is filled into attributes of its datasets stays in it.  Raises ObjectError for an unknown partition.
    """
    original = inventory.partitions.get(partition_name)
    if original is None:
        raise ObjectError(f"Unknown partition {partition_name}")
    image = Repository()
    image.membership.suspended = True
    partition = Partition(partition_name, _Original(original))
    image.define_partitions([partition])
    for group in inventory.groups.values():
        if group.name is not None:
            image.groups.add(Group(group.name, group.olevel))
    chosen: set[Dataset] = set()
    for site in inventory.sites.values():
        copy = Site(site.name, site.host, site.storage_type, site.backend, site.status)
        share = SitePartition(copy, partition, site.partitions[original].quota)
        copy.partitions[partition] = share
        image.sites.add(copy)
        chosen.update(replica.dataset for replica in site.partitions[original].replicas)
    for dataset in sorted(chosen, key=lambda dataset: dataset.name):
        _copy_dataset(dataset, image)
    image.membership.recompute()
    return image


def _copy_dataset(dataset: Dataset, image: Repository) -> None:
    copy = Dataset(
        dataset.name,
        dataset.status,
        dataset.data_type,
        dataset.software_version,
        dataset.last_update,
        dataset.is_open,
    )
    copy.attr = dict(dataset.attr)
    copy.repository = image
    image.datasets.add(copy)
    copy.copy_blocks(dataset)
    for replica in dataset.replicas:
        site = image.sites[replica.site.name]
        twin = DatasetReplica(copy, site, replica.growing, image.groups[replica.group.name])
        twin.copy_members(replica, image.groups)
        twin.link()
