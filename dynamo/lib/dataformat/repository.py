"""All objects of one inventory, and what finds them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamo.dataformat.block_files import BlockFiles
from dynamo.dataformat.exceptions import ObjectError
from dynamo.dataformat.group import Group, Owners
from dynamo.dataformat.mapping import ObjectMapping
from dynamo.dataformat.membership import PartitionMembership
from dynamo.dataformat.sitepartition import SitePartition

if TYPE_CHECKING:
    from dynamo.dataformat.block import Block
    from dynamo.dataformat.dataset import Dataset
    from dynamo.dataformat.partition import Partition
    from dynamo.dataformat.site import Site


class Repository:
    """The objects of one inventory by name, and the files of its blocks."""

    def __init__(self) -> None:
        self.groups: ObjectMapping[str | None, Group] = ObjectMapping()
        self.sites: ObjectMapping[str, Site] = ObjectMapping()
        self.datasets: ObjectMapping[str, Dataset] = ObjectMapping()
        self.partitions: ObjectMapping[str, Partition] = ObjectMapping()
        self.owners = Owners()
        self.files = BlockFiles()
        self.membership = PartitionMembership(self)
        self.groups.add(Group.null_group)

    def clear(self) -> None:
        """Forget everything but the null group."""
        for mapping in (self.groups, self.sites, self.datasets, self.partitions):
            mapping.clear()
        self.owners = Owners()
        self.groups.add(Group.null_group)

    def known_block(self, block: Block) -> Block | None:
        """The embedded block of the same full name."""
        dataset = self.datasets.get(block.dataset.name)
        return None if dataset is None else dataset.find_block(block.name)

    def find_block(self, block: Block) -> Block:
        """The embedded block of the same full name.  Raises ObjectError when it is unknown."""
        dataset = self.datasets.get(block.dataset.name)
        if dataset is None:
            raise ObjectError(f"Unknown dataset {block.dataset.name}")
        embedded = dataset.find_block(block.name, must_find=True)
        assert embedded is not None
        return embedded

    def find_group(self, group: Group) -> Group:
        """The embedded group of the same name.  Raises ObjectError when it is unknown."""
        embedded = self.groups.get(group.name)
        if embedded is None:
            raise ObjectError(f"Unknown group {group.name}")
        return embedded

    def define_partitions(self, partitions: list[Partition]) -> None:
        """Take partitions with their definitions, and give every site its share of them.

        Raises ObjectError when a union names an unknown partition, or itself.
        """
        for partition in partitions:
            self.partitions.add(partition)
        for partition in partitions:
            partition.embed_tree(self)
        for site in self.sites.values():
            for partition in partitions:
                site.partitions.setdefault(partition, SitePartition(site, partition))
