"""Replicas of datasets."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamo.dataformat.dataset import Dataset
from dynamo.dataformat.exceptions import ObjectError
from dynamo.dataformat.group import Group, group_of
from dynamo.dataformat.site import Site

if TYPE_CHECKING:
    from dynamo.dataformat.block import Block
    from dynamo.dataformat.blockreplica import BlockReplica
    from dynamo.dataformat.repository import Repository


class DatasetReplica:
    """A dataset at a site.

    `growing`: new blocks get a replica here, owned by `group` (the null group when nobody is named).
    """

    __slots__ = ("block_replicas", "dataset", "group", "growing", "site")

    def __init__(
        self,
        dataset: Dataset | str,
        site: Site | str,
        growing: bool = False,
        group: Group | str | None = None,
    ) -> None:
        self.dataset = Dataset(dataset) if isinstance(dataset, str) else dataset
        self.site = Site(site) if isinstance(site, str) else site
        self.growing = growing
        self.group = group_of(group)
        self.block_replicas: set[BlockReplica] = set()

    def size(self, physical: bool = True) -> int:
        """Bytes that are here (`physical`), or will be when all block replicas are complete."""
        if physical:
            return sum(replica.size for replica in self.block_replicas)
        return sum(replica.block.size for replica in self.block_replicas)

    def is_complete(self) -> bool:
        """Is every block replica complete?"""
        return all(replica.is_complete() for replica in self.block_replicas)

    def is_full(self) -> bool:
        """Complete, with a replica of every block."""
        return len(self.block_replicas) == len(self.dataset.blocks) and self.is_complete()

    def is_partial(self) -> bool:
        """Complete, with replicas of some blocks only."""
        return len(self.block_replicas) < len(self.dataset.blocks) and self.is_complete()

    def is_last_copy(self) -> bool:
        """Is this the only replica of its dataset?"""
        return len(self.dataset.replicas) == 1 and self in self.dataset.replicas

    def last_block_created(self) -> int:
        """Newest `last_update` among the block replicas, 0 without any."""
        return max((replica.last_update for replica in self.block_replicas), default=0)

    def find_block_replica(self, block: Block | str, must_find: bool = False) -> BlockReplica | None:
        """The replica of a block, given by object or by name within the dataset.

        Raises ObjectError when it is not there although it must.
        """
        found = self.dataset.find_block(block) if isinstance(block, str) else block
        if found is not None:
            for replica in found.replicas:
                if replica.site is self.site:
                    return replica
        if must_find:
            name = block if isinstance(block, str) else block.real_name()
            raise ObjectError(f"Could not find replica of {self.dataset.name}#{name} in {self.site.name}")
        return None

    def embed_into(self, repository: Repository) -> tuple[DatasetReplica, bool]:
        """Bring this into the inventory: the embedded replica, and whether anything changed.

        Raises ObjectError for an unknown dataset, site or group.
        """
        dataset = repository.datasets.get(self.dataset.name)
        if dataset is None:
            raise ObjectError(f"Unknown dataset {self.dataset.name}")
        site = repository.sites.get(self.site.name)
        if site is None:
            raise ObjectError(f"Unknown site {self.site.name}")
        group = repository.find_group(self.group)
        embedded = site.find_dataset_replica(dataset)
        if embedded is None:
            embedded = DatasetReplica(dataset, site, self.growing, group)
            embedded.link()
            repository.membership.fleet_changed(dataset)
        elif embedded == self:
            return embedded, False
        else:
            embedded.growing, embedded.group = self.growing, group
        return embedded, True

    def link(self) -> None:
        """Take this into the lists of its dataset and its site."""
        self.dataset.replicas.add(self)
        self.site.add_dataset_replica(self)

    def unlink_from(self, repository: Repository) -> DatasetReplica | None:
        """Take the replica of this dataset at this site out of the inventory, with its block replicas."""
        dataset = repository.datasets.get(self.dataset.name)
        site = repository.sites.get(self.site.name)
        if dataset is None or site is None:
            return None
        embedded = site.find_dataset_replica(dataset)
        if embedded is not None:
            embedded.unlink(repository)
        return embedded

    def unlink(self, repository: Repository) -> None:
        """Take this embedded replica out of the inventory."""
        for replica in self.block_replicas:
            replica.block.replicas.discard(replica)
        self.block_replicas.clear()
        self.site.remove_dataset_replica(self)
        self.dataset.replicas.discard(self)
        repository.membership.fleet_changed(self.dataset)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, DatasetReplica):
            return NotImplemented
        return (
            self.dataset.name == other.dataset.name
            and self.site.name == other.site.name
            and self.growing == other.growing
            and self.group.name == other.group.name
        )

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"DatasetReplica({self.dataset.name!r},{self.site.name!r},{self.growing},{self.group.name!r})"
