"""Datasets: what people ask for by name."""

from __future__ import annotations

import copy
from array import array
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, ClassVar

from dynamo.dataformat import block as columns
from dynamo.dataformat.block import Block
from dynamo.dataformat.enumeration import Enumeration
from dynamo.dataformat.exceptions import ObjectError
from dynamo.dataformat.rows import drop_row, find_row, new_rows, whole, windows_of

if TYPE_CHECKING:
    from dynamo.dataformat.datasetreplica import DatasetReplica
    from dynamo.dataformat.file import File
    from dynamo.dataformat.repository import Repository
    from dynamo.dataformat.site import Site

STATUS = Enumeration(
    "dataset status", "unknown", "deleted", "deprecated", "invalid", "production", "valid", "ignored"
)
DATA_TYPE = Enumeration("data type", "unknown", "production", "test")

_END = b"\xff"
"""Stands around names of blocks; no text in UTF-8 has it."""


class Dataset:
    """A named collection of blocks.

    `software_version` is any hashable, by default a tuple of one value; `last_update` is in Unix seconds.  `attr`
    is scratch space of policies, never stored or sent.  `repository` is the inventory that this lives in, None for
    a free object.  `rows` are its blocks, see `Block`.
    """

    __slots__ = (
        "_attr",
        "_name",
        "_names",
        "_replicas",
        "data_type",
        "id",
        "is_open",
        "last_update",
        "repository",
        "rows",
        "software_version",
        "status",
    )

    STAT_UNKNOWN: ClassVar[int] = 1
    STAT_DELETED: ClassVar[int] = 2
    STAT_DEPRECATED: ClassVar[int] = 3
    STAT_INVALID: ClassVar[int] = 4
    STAT_PRODUCTION: ClassVar[int] = 5
    STAT_VALID: ClassVar[int] = 6
    STAT_IGNORED: ClassVar[int] = 7

    TYPE_UNKNOWN: ClassVar[int] = 1
    TYPE_PRODUCTION: ClassVar[int] = 2
    TYPE_TEST: ClassVar[int] = 3

    status_val = staticmethod(STATUS.val)
    status_name = staticmethod(STATUS.name)
    data_type_val = staticmethod(DATA_TYPE.val)
    data_type_name = staticmethod(DATA_TYPE.name)

    def __init__(
        self,
        name: str,
        status: int | str = STAT_UNKNOWN,
        data_type: int | str = TYPE_UNKNOWN,
        software_version: Hashable = None,
        last_update: int = 0,
        is_open: bool = True,
        did: int = 0,
    ) -> None:
        """Raises ObjectError for an unknown status or type."""
        self._name = name
        self.status = STATUS.check(status)
        self.data_type = DATA_TYPE.check(data_type)
        version = software_version
        self.software_version: Hashable = tuple(version) if isinstance(version, list) else version
        self.last_update = last_update
        self.is_open = is_open
        self.id = did
        self.repository: Repository | None = None
        self.rows = new_rows()
        self._names = bytearray(_END)
        self._replicas: dict[str, DatasetReplica] = {}
        self._attr: dict[str, Any] | None = None

    @property
    def name(self) -> str:
        """Unique among datasets; never changes."""
        return self._name

    @property
    def attr(self) -> dict[str, Any]:
        """Scratch space of policies."""
        if self._attr is None:
            self._attr = {}
        return self._attr

    @attr.setter
    def attr(self, attr: dict[str, Any]) -> None:
        self._attr = attr or None

    @property
    def blocks(self) -> set[Block]:
        """The blocks, as they are now."""
        return windows_of(self).all(range(0, len(self.rows), columns.WIDTH), Block.of_row, self)

    @property
    def num_blocks(self) -> int:
        """Number of blocks."""
        return len(self.rows) // columns.WIDTH

    @property
    def replicas(self) -> set[DatasetReplica]:
        """The replicas at all sites, as they are now."""
        return set(self._replicas.values())

    @property
    def size(self) -> int:
        """Bytes of all blocks."""
        return sum(self.rows[columns.SIZE :: columns.WIDTH])

    @property
    def num_files(self) -> int:
        """Number of files of all blocks."""
        return sum(self.rows[columns.FILES :: columns.WIDTH])

    @property
    def files(self) -> set[File]:
        """All files of all blocks."""
        return {file for block in self.blocks for file in block.files}

    def append_block(
        self, name: str, size: int, num_files: int, is_open: bool, last_update: int, number: int
    ) -> int:
        """Add a block that is not there, `number` in the store; where its row begins."""
        at = len(self.rows)
        self.rows.extend((len(self._names), size, num_files, is_open, last_update, number))
        self._names += _encoded(name) + _END
        return at

    def add_block(self, block: Block) -> None:
        """Take a free block of this dataset into its list.  Raises ObjectError for values that are no numbers."""
        numbers = [whole(value) for value in (block.size, block.num_files, block.last_update, block.id)]
        size, num_files, last_update, number = numbers
        at = self.append_block(block.name, size, num_files, block.is_open, last_update, number)
        block.join(at, windows_of(self))

    def remove_block(self, block: Block) -> None:
        """Drop a block, which has no replica any more, from the list."""
        at = block.at
        begin = self.rows[at + columns.NAME]
        block.leave()
        self._drop_name(begin)
        old = drop_row(self.rows, at, columns.WIDTH)
        moved = windows_of(self).move(old, at)
        if moved is not None:
            moved.at = at
        if old != at:
            for replica in self._replicas.values():
                replica.block_moved(old, at)

    def _drop_name(self, begin: int) -> None:
        end = self._names.index(_END, begin) + 1
        del self._names[begin:end]
        self.rows[columns.NAME :: columns.WIDTH] = array(
            "q",
            [
                other if other <= begin else other - (end - begin)
                for other in self.rows[columns.NAME :: columns.WIDTH]
            ],
        )

    def remove_all_blocks(self) -> None:
        """Empty the list of blocks, which have no replicas any more."""
        for block in windows_of(self).clear():
            block.leave()
        del self.rows[:]
        self._names[:] = _END

    def copy_blocks(self, other: Dataset) -> None:
        """Take the blocks of another dataset; this one has none yet."""
        self.rows, self._names = other.rows[:], other._names[:]

    def block_at(self, at: int) -> Block:
        """The block of a row."""
        block: Block = windows_of(self).one(at, Block.of_row, self)
        return block

    def block_name(self, begin: int) -> str:
        """The name of a block, by the column of its row that says where it begins."""
        return self._names[begin : self._names.index(_END, begin)].decode("utf-8", "surrogatepass")

    def find_block(self, name: str | Block, must_find: bool = False) -> Block | None:
        """The block of a name.  Raises ObjectError when it is not there although it must."""
        key = name if isinstance(name, str) else name.name
        begin = self._names.find(_END + _encoded(key) + _END) + 1
        at = find_row(self.rows, columns.NAME, columns.WIDTH, begin) if begin else None
        if at is not None:
            return self.block_at(at)
        if must_find:
            raise ObjectError(f"Could not find block {key} in {self._name}")
        return None

    def add_replica(self, replica: DatasetReplica) -> None:
        """Take a replica of this dataset into its list."""
        self._replicas[replica.site.name] = replica

    def remove_replica(self, replica: DatasetReplica) -> None:
        """Drop a replica from the list."""
        self._replicas.pop(replica.site.name, None)

    def find_file(self, lfn: str, must_find: bool = False) -> File | None:
        """The file of a name.  Raises ObjectError when it is not there although it must."""
        for block in self.blocks:
            file = block.find_file(lfn)
            if file is not None:
                return file
        if must_find:
            raise ObjectError(f"Could not find file {lfn} in {self._name}")
        return None

    def find_replica(self, site: Site | str, must_find: bool = False) -> DatasetReplica | None:
        """The replica at a site.  Raises ObjectError when it is not there although it must."""
        name = site if isinstance(site, str) else site.name
        replica = self._replicas.get(name)
        if replica is None and must_find:
            raise ObjectError(f"Could not find replica of {self._name} in {name}")
        return replica

    def embed_into(self, repository: Repository) -> tuple[Dataset, bool]:
        """Bring this into the inventory: the embedded dataset, and whether anything changed."""
        embedded = repository.datasets.get(self._name)
        if embedded is None:
            embedded = Dataset(
                self._name,
                self.status,
                self.data_type,
                self.software_version,
                self.last_update,
                self.is_open,
                self.id,
            )
            embedded.repository = repository
            repository.datasets.add(embedded)
        elif embedded == self:
            return embedded, False
        else:
            embedded.status, embedded.data_type = self.status, self.data_type
            embedded.software_version = self.software_version
            embedded.last_update, embedded.is_open = self.last_update, self.is_open
            repository.membership.dataset_changed(embedded)
        embedded._attr = copy.deepcopy(self._attr)
        return embedded, True

    def unlink_from(self, repository: Repository) -> Dataset | None:
        """Take the dataset of this name out of the inventory, with blocks and replicas."""
        embedded = repository.datasets.pop(self._name, None)
        if embedded is None:
            return None
        for replica in embedded.replicas:
            replica.unlink(repository)
        embedded.remove_all_blocks()
        return embedded

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Dataset):
            return NotImplemented
        return (
            self._name == other._name
            and self.status == other.status
            and self.data_type == other.data_type
            and self.software_version == other.software_version
            and self.last_update == other.last_update
            and self.is_open == other.is_open
        )

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return (
            f"Dataset({self._name!r},'{STATUS.name(self.status)}','{DATA_TYPE.name(self.data_type)}',"
            f"{self.software_version!r},{self.last_update},{self.is_open},{self.id})"
        )


def _encoded(name: str) -> bytes:
    return name.encode("utf-8", "surrogatepass")
