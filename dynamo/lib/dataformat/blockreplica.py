"""Replicas of blocks: most of the inventory's memory."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING
from weakref import ref

from dynamo.dataformat.block import FILES, SIZE, Block
from dynamo.dataformat.exceptions import ObjectError
from dynamo.dataformat.group import Group, group_of
from dynamo.dataformat.rows import Cells, Number, Windows, whole
from dynamo.dataformat.site import Site

if TYPE_CHECKING:
    from dynamo.dataformat.datasetreplica import DatasetReplica
    from dynamo.dataformat.file import File
    from dynamo.dataformat.repository import Repository

FileIds = tuple[int | str, ...]
Part = tuple[FileIds | None, int]
"""The list of files that are here, and their bytes.  Without a list all are here, whatever the number says."""
FULL: Part = (None, 0)

BLOCK, OWNER, CUSTODIAL, TIME = range(4)
"""Columns of a dataset replica's members.  `BLOCK` is where the block's row begins, `OWNER` a number of a group."""
WIDTH = 4


class BlockReplica:
    """A block at a site: a row of a dataset replica, or a free object with a row of its own.

    `file_ids` is None for a full replica, whose size is the block's; else a sorted tuple of file ids, or of logical
    names for files without id.  `last_update` in Unix seconds.
    """

    __slots__ = ("__weakref__", "_block", "_cells", "_part", "_replica", "_windows", "at", "site")

    last_update = Number(TIME, "Unix seconds.")

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
        self._block: Block | None = Block.free(block) if isinstance(block, str) else block
        self.site = Site(site) if isinstance(site, str) else site
        self._cells: Cells = [0, group_of(group), is_custodial, last_update]
        self.at = 0
        self._replica: DatasetReplica | None = None
        self._windows: Windows[DatasetReplica, BlockReplica] | None = None
        self._part = FULL
        if size < 0:
            return
        if file_ids is not None or size == 0:
            self._part = (_with_ids(tuple(file_ids or ()), self.block), size)
        elif size != self.block.size:
            raise ObjectError(
                f"Replica of {self.block.full_name()} has the finite size {size}, "
                f"which is not that of the block; give the list of its files"
            )

    @classmethod
    def of_row(
        cls, replica: DatasetReplica, at: int, windows: Windows[DatasetReplica, BlockReplica]
    ) -> BlockReplica:
        """The object for a row of a dataset replica, which had none."""
        member = cls.__new__(cls)
        member._block = None
        member.site = replica.site
        member._replica, member._cells, member.at, member._windows = replica, replica.rows, at, windows
        windows.held[at] = ref(member)
        return member

    def join(self, replica: DatasetReplica, at: int, windows: Windows[DatasetReplica, BlockReplica]) -> None:
        """Stand for a row of a dataset replica from now on."""
        self._replica, self._cells, self.at, self._windows = replica, replica.rows, at, windows
        windows.held[at] = ref(self)

    def leave(self) -> None:
        """Stand for no row any more, and keep its values."""
        self._block, self._part = self.block, self.part
        self._cells = [0, self.group, self.is_custodial, self.last_update]
        if self._windows is not None:
            self._windows.held.pop(self.at, None)
        self.at, self._replica, self._windows = 0, None, None

    @property
    def block(self) -> Block:
        """The block of which this is a replica."""
        block = self._block
        if block is None:
            assert self._replica is not None, "a free replica knows its block"
            block = self._block = self._replica.dataset.block_at(self._cells[self.at + BLOCK])
        return block

    @property
    def group(self) -> Group:
        """The owner."""
        owner = self._cells[self.at + OWNER]
        return owner if self._replica is None else self._replica.owner(owner)

    @group.setter
    def group(self, group: Group) -> None:
        replica = self._replica
        self._cells[self.at + OWNER] = group if replica is None else replica.owner_number(group)

    @property
    def is_custodial(self) -> bool:
        """Is it kept here for good?"""
        return bool(self._cells[self.at + CUSTODIAL])

    @is_custodial.setter
    def is_custodial(self, is_custodial: bool) -> None:
        self._cells[self.at + CUSTODIAL] = bool(is_custodial)

    @property
    def part(self) -> Part:
        """What is here."""
        return self._part if self._replica is None else self._replica.part(self.at)

    @part.setter
    def part(self, part: Part) -> None:
        if self._replica is None:
            self._part = part
        else:
            self._replica.set_part(self.at, part)

    @property
    def file_ids(self) -> FileIds | None:
        """The files that are here; None when all are."""
        return self.part[0]

    @file_ids.setter
    def file_ids(self, file_ids: FileIds | None) -> None:
        self.part = (file_ids, self.part[1])

    @property
    def size(self) -> int:
        """Bytes that are here; -1 for a full replica of a block that is known by name only."""
        file_ids, size = self.part
        return self._of_block(SIZE) if file_ids is None else size

    @size.setter
    def size(self, size: int) -> None:
        self.part = FULL if size < 0 else (self.part[0], whole(size))

    def _of_block(self, column: int) -> int:
        """A number of the block, for which no object is made."""
        if self._replica is None:
            block = self.block
            return block.size if column == SIZE else block.num_files
        place: int = self._cells[self.at + BLOCK]
        return self._replica.dataset.rows[place + column]

    @property
    def num_files(self) -> int:
        """Number of files that are here."""
        file_ids = self.part[0]
        return self._of_block(FILES) if file_ids is None else len(file_ids)

    def is_complete(self) -> bool:
        """Are all files here?"""
        file_ids, size = self.part
        return file_ids is None or (size == self._of_block(SIZE) and len(file_ids) == self._of_block(FILES))

    def files(self) -> set[File]:
        """The files that are here."""
        return {file for file in self.block.files if self.has_file(file)}

    def has_file(self, file: File) -> bool:
        """Is a file of this block here?"""
        ids = self.file_ids
        return ids is None or file.lfn in ids or (file.id != 0 and file.id in ids)

    def add_file(self, file: File) -> None:
        """Count a file of the block as being here.  Nothing happens when it is."""
        file_ids, size = self.part
        if file_ids is not None and not self.has_file(file):
            self.part = (in_order((*file_ids, file.id or file.lfn)), size + file.size)

    def delete_file(self, file: File, full_deletion: bool = False) -> None:
        """Count a file as not being here any more.

        A full replica becomes partial, unless the file leaves the block as well (`full_deletion`).
        """
        file_ids, size = self.part
        if file_ids is None:
            if full_deletion:
                return
            size = self.block.size
            file_ids = in_order(member.id or member.lfn for member in self.block.files)
        self.part = (file_ids, size)
        if self.has_file(file):
            gone = (file.lfn, file.id or file.lfn)
            self.part = (tuple(member for member in file_ids if member not in gone), size - file.size)

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
        self.group, self.part = group, (file_ids, other.part[1])
        self.is_custodial, self.last_update = other.is_custodial, other.last_update

    def link(self) -> None:
        """Take this into the list of its dataset replica."""
        dataset_replica = self.site.find_dataset_replica(self.block.dataset, must_find=True)
        assert dataset_replica is not None
        dataset_replica.add(self)

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
        dataset_replica = self._replica
        if dataset_replica is None:
            return
        dataset_replica.remove(self)
        if dataset_replica.num_block_replicas:
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
        file_ids, size = (None, -1) if self.is_complete() else self.part
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
