"""Datasets: what people ask for by name."""

from __future__ import annotations

import copy
from collections.abc import Hashable
from typing import TYPE_CHECKING, Any, ClassVar

from dynamo.dataformat.enumeration import Enumeration
from dynamo.dataformat.exceptions import ObjectError

if TYPE_CHECKING:
    from dynamo.dataformat.block import Block
    from dynamo.dataformat.datasetreplica import DatasetReplica
    from dynamo.dataformat.file import File
    from dynamo.dataformat.repository import Repository
    from dynamo.dataformat.site import Site

STATUS = Enumeration(
    "dataset status", "unknown", "deleted", "deprecated", "invalid", "production", "valid", "ignored"
)
DATA_TYPE = Enumeration("data type", "unknown", "production", "test")


class Dataset:
    """A named collection of blocks.

    `software_version` is any hashable, by default a tuple of one value; `last_update` is in Unix seconds.  `attr`
    is scratch space of policies, never stored or sent.  `repository` is the inventory that this lives in, None for
    a free object.
    """

    __slots__ = (
        "_attr",
        "_index",
        "_name",
        "blocks",
        "data_type",
        "id",
        "is_open",
        "last_update",
        "replicas",
        "repository",
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
        self.blocks: set[Block] = set()
        self.replicas: set[DatasetReplica] = set()
        self.repository: Repository | None = None
        self._index: dict[str, Block] = {}
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
    def size(self) -> int:
        """Bytes of all blocks."""
        return sum(block.size for block in self.blocks)

    @property
    def num_files(self) -> int:
        """Number of files of all blocks."""
        return sum(block.num_files for block in self.blocks)

    @property
    def files(self) -> set[File]:
        """All files of all blocks."""
        return {file for block in self.blocks for file in block.files}

    def add_block(self, block: Block) -> None:
        """Take a block of this dataset into its list."""
        self._index[block.name] = block
        self.blocks.add(block)

    def remove_block(self, block: Block) -> None:
        """Drop a block from the list."""
        del self._index[block.name]
        self.blocks.discard(block)

    def find_block(self, name: str | Block, must_find: bool = False) -> Block | None:
        """The block of a name.  Raises ObjectError when it is not there although it must."""
        key = name if isinstance(name, str) else name.name
        block = self._index.get(key)
        if block is None and must_find:
            raise ObjectError(f"Could not find block {key} in {self._name}")
        return block

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
        for replica in self.replicas:
            if replica.site.name == name:
                return replica
        if must_find:
            raise ObjectError(f"Could not find replica of {self._name} in {name}")
        return None

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
        for replica in list(embedded.replicas):
            replica.unlink(repository)
        for block in list(embedded.blocks):
            embedded.remove_block(block)
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
