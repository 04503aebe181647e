"""Which replicas belong to which partition, kept right through every change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamo.dataformat.partition import Reach

if TYPE_CHECKING:
    from dynamo.dataformat.blockreplica import BlockReplica
    from dynamo.dataformat.dataset import Dataset
    from dynamo.dataformat.datasetreplica import DatasetReplica
    from dynamo.dataformat.repository import Repository
    from dynamo.dataformat.site import Site
    from dynamo.dataformat.sitepartition import SitePartition


class PartitionMembership:
    """Keeps `SitePartition.replicas` of one inventory.

    Each method names what has changed; partitions whose definition does not look at such facts are left alone.
    """

    def __init__(self, repository: Repository) -> None:
        self._repository = repository
        self.suspended = False
        """Set while everything is loaded; `recompute` makes up for it."""

    def recompute(self) -> None:
        """Evaluate everything anew."""
        self.suspended = False
        for site in self._repository.sites.values():
            for share in site.partitions.values():
                share.replicas.clear()
                for replica in site.dataset_replicas():
                    evaluate(share, replica)

    def dataset_changed(self, dataset: Dataset) -> None:
        """A plain attribute of the dataset, or owners of its replicas."""
        self._evaluate_dataset(dataset, Reach.OWN)

    def content_changed(self, dataset: Dataset) -> None:
        """Blocks or sizes of the dataset."""
        self._evaluate_dataset(dataset, Reach.CONTENT)

    def fleet_changed(self, dataset: Dataset) -> None:
        """Where the dataset has replicas."""
        self._evaluate_dataset(dataset, Reach.FLEET)

    def site_changed(self, site: Site) -> None:
        """A plain attribute of the site."""
        if self.suspended:
            return
        for replica in site.dataset_replicas():
            for share in site.partitions.values():
                evaluate(share, replica)
            self.fleet_changed(replica.dataset)

    def block_replica_changed(self, replica: BlockReplica) -> None:
        """Anything about one block replica, which may be new."""
        if self.suspended:
            return
        dataset_replica = replica.site.find_dataset_replica(replica.block.dataset)
        if dataset_replica is None:
            return
        for share in replica.site.partitions.values():
            if share.partition.reach is Reach.OWN:
                _evaluate_one(share, dataset_replica, replica)
            else:
                evaluate(share, dataset_replica)
        self.fleet_changed(replica.block.dataset)

    def block_replica_removed(self, dataset_replica: DatasetReplica, replica: BlockReplica) -> None:
        """One block replica has gone from a dataset replica that still has others."""
        if self.suspended:
            return
        for share in dataset_replica.site.partitions.values():
            if share.partition.reach is Reach.OWN:
                share.replicas.forget(dataset_replica, replica)
            else:
                evaluate(share, dataset_replica)
        self.fleet_changed(dataset_replica.dataset)

    def _evaluate_dataset(self, dataset: Dataset, at_least: Reach) -> None:
        if self.suspended:
            return
        partitions = [
            partition for partition in self._repository.partitions.values() if partition.reach >= at_least
        ]
        if partitions:
            for replica in dataset.replicas:
                for partition in partitions:
                    share = replica.site.partitions.get(partition)
                    if share is not None:
                        evaluate(share, replica)


def evaluate(share: SitePartition, dataset_replica: DatasetReplica) -> None:
    """Find out anew which block replicas of a dataset replica belong to a partition."""
    contains = share.partition.contains
    share.replicas.set(
        dataset_replica, [replica for replica in dataset_replica.block_replicas if contains(replica)]
    )


def _evaluate_one(share: SitePartition, dataset_replica: DatasetReplica, replica: BlockReplica) -> None:
    if share.partition.contains(replica):
        share.replicas.add(dataset_replica, replica)
    else:
        share.replicas.exclude(dataset_replica, replica)
