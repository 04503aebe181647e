"""Replicas of datasets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from dynamo.dataformat import block as block_columns
from dynamo.dataformat import blockreplica as columns
from dynamo.dataformat.blockreplica import FULL, BlockReplica, Part
from dynamo.dataformat.dataset import Dataset
from dynamo.dataformat.exceptions import ObjectError
from dynamo.dataformat.group import Group, Owners, group_of
from dynamo.dataformat.rows import drop_row, find_row, new_rows, whole, windows_of
from dynamo.dataformat.site import Site

if TYPE_CHECKING:
    from dynamo.dataformat.block import Block
    from dynamo.dataformat.repository import Repository


class DatasetReplica:
    """A dataset at a site.

    `growing`: new blocks get a replica here, owned by `group` (the null group when nobody is named).  `rows` are its
    block replicas, see `BlockReplica`.
    """

    __slots__ = ("_parts", "dataset", "group", "growing", "rows", "site")

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
        self.rows = new_rows()
        self._parts: dict[int, Part] | None = None

    @property
    def block_replicas(self) -> set[BlockReplica]:
        """The replicas of blocks, as they are now."""
        return windows_of(self).all(range(0, len(self.rows), columns.WIDTH), BlockReplica.of_row, self)

    @property
    def num_block_replicas(self) -> int:
        """Number of block replicas."""
        return len(self.rows) // columns.WIDTH

    def members(self, bits: int) -> set[BlockReplica]:
        """The replicas of blocks whose numbers are set bits."""
        blocks = enumerate(self._block_numbers())
        places = [row * columns.WIDTH for row, block in blocks if bits >> block & 1]
        found: set[BlockReplica] = windows_of(self).all(places, BlockReplica.of_row, self)
        return found

    def block_bits(self) -> int:
        """A set bit for the number of every block that has a replica here."""
        bits = 0
        for block in self._block_numbers():
            bits |= 1 << block
        return bits

    def _block_numbers(self) -> list[int]:
        return [place // block_columns.WIDTH for place in self.rows[columns.BLOCK :: columns.WIDTH]]

    def size(self, physical: bool = True) -> int:
        """Bytes that are here (`physical`), or will be when all block replicas are complete."""
        if self.num_block_replicas == self.dataset.num_blocks and not (physical and self._parts):
            return self.dataset.size
        return sum(self._sizes(physical))

    def size_of(self, bits: int, physical: bool = True) -> int:
        """The same of blocks whose numbers are set bits."""
        sizes = zip(self._block_numbers(), self._sizes(physical), strict=True)
        return sum(size for block, size in sizes if bits >> block & 1)

    def size_by_group(self, physical: bool = True) -> dict[Group, int]:
        """The same for every owner."""
        owners = self.rows[columns.OWNER :: columns.WIDTH]
        totals: dict[int, int] = {}
        for owner, size in zip(owners, self._sizes(physical), strict=True):
            totals[owner] = totals.get(owner, 0) + size
        return {self.owner(number): size for number, size in totals.items()}

    def _sizes(self, physical: bool) -> list[int]:
        blocks = self.dataset.rows
        sizes = [blocks[at + block_columns.SIZE] for at in self.rows[columns.BLOCK :: columns.WIDTH]]
        if physical and self._parts:
            for at, (file_ids, size) in self._parts.items():
                if file_ids is not None:
                    sizes[at // columns.WIDTH] = size
        return sizes

    def is_complete(self) -> bool:
        """Is every block replica complete?"""
        return all(self._is_complete_at(at) for at in self._parts or ())

    def _is_complete_at(self, at: int) -> bool:
        """Is the block replica of a row complete?"""
        file_ids, size = self.part(at)
        block = self.rows[at + columns.BLOCK]
        return file_ids is None or (
            size == self.dataset.rows[block + block_columns.SIZE]
            and len(file_ids) == self.dataset.rows[block + block_columns.FILES]
        )

    def is_full(self) -> bool:
        """Complete, with a replica of every block."""
        return self.num_block_replicas == self.dataset.num_blocks and self.is_complete()

    def is_partial(self) -> bool:
        """Complete, with replicas of some blocks only."""
        return self.num_block_replicas < self.dataset.num_blocks and self.is_complete()

    def is_last_copy(self) -> bool:
        """Is this the only replica of its dataset?"""
        return len(self.dataset.replicas) == 1 and self in self.dataset.replicas

    def last_block_created(self) -> int:
        """Newest `last_update` among the block replicas, 0 without any."""
        return max(self.rows[columns.TIME :: columns.WIDTH], default=0)

    def find_block_replica(self, block: Block | str, must_find: bool = False) -> BlockReplica | None:
        """The replica of a block, given by object or by name within the dataset.

        Raises ObjectError when it is not there although it must.
        """
        found = self.dataset.find_block(block) if isinstance(block, str) else block
        replica = None if found is None else found.find_replica(self.site)
        if replica is not None and replica.site is self.site:
            return replica
        if must_find:
            name = block if isinstance(block, str) else block.real_name()
            raise ObjectError(f"Could not find replica of {self.dataset.name}#{name} in {self.site.name}")
        return None

    def append(self, block: int, owner: int, is_custodial: bool, last_update: int, part: Part = FULL) -> int:
        """Add the replica of a block; where its row begins.

        `block` is where the block's row begins, `owner` what rows keep of the group.
        """
        at = len(self.rows)
        self.rows.extend((block, owner, is_custodial, last_update))
        if part is not FULL:
            self.set_part(at, part)
        return at

    def add(self, replica: BlockReplica) -> None:
        """Take a free replica of an embedded block into the list.  Raises ObjectError for a time that is no number."""
        last_update, owner = whole(replica.last_update), self.owner_number(replica.group)
        at = self.append(replica.block.at, owner, replica.is_custodial, last_update, replica.part)
        replica.join(self, at, windows_of(self))

    def remove(self, replica: BlockReplica) -> None:
        """Drop a replica from the list."""
        at = replica.at
        replica.leave()
        old = drop_row(self.rows, at, columns.WIDTH)
        moved = windows_of(self).move(old, at)
        if moved is not None:
            moved.at = at
        part = FULL if self._parts is None else self._parts.pop(old, FULL)
        self.set_part(at, FULL if old == at else part)

    def remove_all(self) -> None:
        """Empty the list of block replicas."""
        for replica in windows_of(self).clear():
            replica.leave()
        del self.rows[:]
        self._parts = None

    def copy_members(self, other: DatasetReplica, groups: Mapping[str | None, Group]) -> None:
        """Take the block replicas of another replica, whose dataset has the same rows; this one has none yet.

        `groups` has an owner for the name of every one there.
        """
        self.rows = other.rows[:]
        numbers = {}
        for number in set(other.rows[columns.OWNER :: columns.WIDTH]):
            numbers[number] = self.owner_number(groups[other.owner(number).name])
        for at in range(columns.OWNER, len(self.rows), columns.WIDTH):
            self.rows[at] = numbers[self.rows[at]]
        self._parts = None if other._parts is None else dict(other._parts)

    def member(self, block: Block) -> BlockReplica | None:
        """The replica of an embedded block of this dataset."""
        at = self._place_of(block)
        return None if at is None else windows_of(self).one(at, BlockReplica.of_row, self)

    def _place_of(self, block: Block) -> int | None:
        at = block.number * columns.WIDTH
        if at < len(self.rows) and self.rows[at + columns.BLOCK] == block.at:
            return at  # as long as all blocks are here, in order
        return find_row(self.rows, columns.BLOCK, columns.WIDTH, block.at)

    def block_moved(self, old: int, new: int) -> None:
        """Note that the row of a block of the dataset lies elsewhere now."""
        for share in self.site.partitions.values():
            share.replicas.block_moved(self, old // block_columns.WIDTH, new // block_columns.WIDTH)
        at = find_row(self.rows, columns.BLOCK, columns.WIDTH, old)
        if at is not None:
            self.rows[at + columns.BLOCK] = new

    def part(self, at: int) -> Part:
        """What the block replica of a row has."""
        return FULL if self._parts is None else self._parts.get(at, FULL)

    def set_part(self, at: int, part: Part) -> None:
        """Say what the block replica of a row has."""
        if part != FULL:
            if self._parts is None:
                self._parts = {}
            self._parts[at] = part
        elif self._parts is not None:
            self._parts.pop(at, None)

    def owner(self, number: int) -> Group:
        """The group that is meant by a number in rows."""
        return self._owners().groups[number]

    def owner_number(self, group: Group) -> int:
        """What rows keep of a group."""
        return self._owners().number(group)

    def _owners(self) -> Owners:
        repository = self.dataset.repository
        assert repository is not None, "only embedded replicas have rows"
        return repository.owners

    def disown(self, group: Group) -> bool:
        """Give what a group owns here to the null group; was there anything?"""
        number = self.owner_number(group)
        owned = [at for at in range(columns.OWNER, len(self.rows), columns.WIDTH) if self.rows[at] == number]
        for at in owned:
            self.rows[at] = self.owner_number(Group.null_group)
        return bool(owned)

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
        self.dataset.add_replica(self)
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
        self.remove_all()
        self.site.remove_dataset_replica(self)
        self.dataset.remove_replica(self)
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
