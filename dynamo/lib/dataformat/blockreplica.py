"""Replicas of blocks: most of the inventory's memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from dynamo.dataformat.block import Block
from dynamo.dataformat.exceptions import ObjectError
from dynamo.dataformat.group import Group, group_of
from dynamo.dataformat.site import Site

if TYPE_CHECKING:
    from dynamo.dataformat.file import File
    from dynamo.dataformat.repository import Repository

FileIds = tuple[int | str, ...]


class BlockReplica:
    """A block at a site.

    `file_ids` is None for a full replica, whose size is the block's; else a sorted tuple of file ids, or of logical
    names for files without id.  `last_update` in Unix seconds.
    """

    __slots__ = ("_partial_size", "block", "file_ids", "group", "is_custodial", "last_update", "site")

    def __init__(
        self,
        block: Block | str,
        site: Site | str,
        group: Group | str | None,
        is_custodial: bool = False,
        size: int = -1,
        last_update: int = 0,
        file_ids: Iterable[int | str] | None = None,
    ) -> None:
        """`size` < 0 means full.

        Raises ObjectError for a finite size without a list, unless it is the size of the given block.
        """
        self.block = Block.free(block) if isinstance(block, str) else block
        self.site = Site(site) if isinstance(site, str) else site
        self.group = group_of(group)
        self.is_custodial = is_custodial
        self.last_update = last_update
        self.file_ids: FileIds | None = None
        self._partial_size = 0
        if size < 0:
            return
        if file_ids is not None or size == 0:
            self._partial_size = size
            self.file_ids = _with_ids(tuple(file_ids or ()), self.block)
        elif size != self.block.size:
            raise ObjectError(
                f"Replica of {self.block.full_name()} has the finite size {size}, "
                f"which is not that of the block; give the list of its files"
            )

    @property
    def size(self) -> int:
        """Bytes that are here; -1 for a full replica of a block that is known by name only."""
        return self.block.size if self.file_ids is None else self._partial_size

    @size.setter
    def size(self, size: int) -> None:
        if size < 0:
            self.file_ids = None
        self._partial_size = size

    @property
    def num_files(self) -> int:
        """Number of files that are here."""
        return self.block.num_files if self.file_ids is None else len(self.file_ids)

    def is_complete(self) -> bool:
        """Are all files here?"""
        file_ids = self.file_ids
        return file_ids is None or (
            self._partial_size == self.block.size and len(file_ids) == self.block.num_files
        )

    def files(self) -> set[File]:
        """The files that are here."""
        return {file for file in self.block.files if self.has_file(file)}

    def has_file(self, file: File) -> bool:
        """Is a file of this block here?"""
        ids = self.file_ids
        return ids is None or file.lfn in ids or (file.id != 0 and file.id in ids)

    def add_file(self, file: File) -> None:
        """Count a file of the block as being here.  Nothing happens when it is."""
        if self.file_ids is None or self.has_file(file):
            return
        self.file_ids = in_order((*self.file_ids, file.id or file.lfn))
        self._partial_size += file.size

    def delete_file(self, file: File, full_deletion: bool = False) -> None:
        """Count a file as not being here any more.

        A full replica becomes partial, unless the file leaves the block as well (`full_deletion`).
        """
        if self.file_ids is None:
            if full_deletion:
                return
            self._partial_size = self.block.size
            self.file_ids = in_order(member.id or member.lfn for member in self.block.files)
        if self.has_file(file):
            gone = (file.lfn, file.id or file.lfn)
            self.file_ids = tuple(member for member in self.file_ids if member not in gone)
            self._partial_size -= file.size

    def embed_into(self, repository: Repository) -> tuple[BlockReplica, bool]:
        """Bring this into the inventory: the embedded replica, and whether anything changed.

        Raises ObjectError for an unknown block, site or group, and when the site has no replica of the dataset.
        """
        block = repository.find_block(self.block)
        site = repository.sites.get(self.site.name)
        if site is None:
            raise ObjectError(f"Unknown site {self.site.name}")
        group = repository.find_group(self.group)
        dataset_replica = site.find_dataset_replica(block.dataset)
        if dataset_replica is None:
            raise ObjectError(
                f"Could not find replica of {block.dataset.name} in {site.name}; update a DatasetReplica first"
            )
        embedded = block.find_replica(site)
        if embedded is not None and embedded == self:
            return embedded, False
        file_ids = self._ids_in(repository, block)
        if embedded is None:
            embedded = BlockReplica(block, site, group)
            embedded._copy(self, group, file_ids)
            embedded.link()
        else:
            embedded._copy(self, group, file_ids)
        repository.membership.block_replica_changed(embedded)
        return embedded, True

    def _ids_in(self, repository: Repository, block: Block) -> FileIds | None:
        ids = self.file_ids
        if ids is None or repository.files.names_only or not any(isinstance(member, str) for member in ids):
            return ids
        files = repository.files.of(block) if repository.files.tracked else repository.files.stored(block)
        found: list[int | str] = []
        for member in ids:
            if isinstance(member, str):
                file = files.get(member)
                if file is None:
                    raise ObjectError(f"Could not find file {member} in {block.full_name()}")
                member = file.id or member
            found.append(member)
        return in_order(found)

    def _copy(self, other: BlockReplica, group: Group, file_ids: FileIds | None) -> None:
        self.group, self.file_ids, self._partial_size = group, file_ids, other._partial_size
        self.is_custodial, self.last_update = other.is_custodial, other.last_update

    def link(self) -> None:
        """Take this into the lists of its block and its dataset replica."""
        dataset_replica = self.site.find_dataset_replica(self.block.dataset, must_find=True)
        assert dataset_replica is not None
        dataset_replica.block_replicas.add(self)
        self.block.replicas.add(self)

    def unlink_from(self, repository: Repository) -> BlockReplica | None:
        """Take the replica of this block at this site out of the inventory.

        With the last one goes the dataset replica.
        """
        block = repository.known_block(self.block)
        embedded = None if block is None else block.find_replica(self.site)
        if embedded is not None:
            embedded.unlink(repository)
        return embedded

    def unlink(self, repository: Repository) -> None:
        """Take this embedded replica out of the inventory."""
        self.block.replicas.discard(self)
        dataset_replica = self.site.find_dataset_replica(self.block.dataset)
        if dataset_replica is None:
            return
        dataset_replica.block_replicas.discard(self)
        if dataset_replica.block_replicas:
            repository.membership.block_replica_removed(dataset_replica, self)
        else:
            dataset_replica.growing = False
            dataset_replica.unlink(repository)

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, BlockReplica):
            return NotImplemented
        return (
            self.block.name == other.block.name
            and self.block.dataset.name == other.block.dataset.name
            and self.site.name == other.site.name
            and self.group.name == other.group.name
            and self.is_custodial == other.is_custodial
            and self.size == other.size
            and self.last_update == other.last_update
            and self.file_ids == other.file_ids
        )

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        size, file_ids = (-1, None) if self.is_complete() else (self._partial_size, self.file_ids)
        return (
            f"BlockReplica({self.block.full_name()!r},{self.site.name!r},{self.group.name!r},"
            f"{self.is_custodial},{size},{self.last_update},{file_ids!r})"
        )


def _with_ids(file_ids: FileIds, block: Block) -> FileIds:
    if block.dataset.repository is None or not any(isinstance(member, str) for member in file_ids):
        return in_order(file_ids)
    ids = {file.lfn: file.id for file in block.files}
    return in_order(ids.get(member) or member if isinstance(member, str) else member for member in file_ids)


def in_order(file_ids: Iterable[int | str]) -> FileIds:
    """A list as replicas keep it: without doubles, numbers before names."""
    return tuple(sorted(set(file_ids), key=lambda member: (isinstance(member, str), member)))
