"""Blocks: the parts of datasets that are copied and deleted as one."""

from __future__ import annotations

from typing import TYPE_CHECKING
from weakref import ref

from dynamo.dataformat import full_name
from dynamo.dataformat.exceptions import ObjectError
from dynamo.dataformat.rows import Cells, Number, Windows

if TYPE_CHECKING:
    from dynamo.dataformat.blockreplica import BlockReplica
    from dynamo.dataformat.dataset import Dataset
    from dynamo.dataformat.file import File
    from dynamo.dataformat.repository import Repository
    from dynamo.dataformat.site import Site

NAME, SIZE, FILES, OPEN, TIME, ID = range(6)
"""Columns of a dataset's blocks.  `NAME` is where the name begins in the text of all names."""
WIDTH = 6


class Block:
    """A part of a dataset: a row of it, or a free object with a row of its own.

    `size` in bytes and `num_files` are the sums over its files, kept by whoever adds files.
    """

    __slots__ = (
        "__weakref__",
        "_cells",
        "_name",
        "_windows",
        "at",
        "dataset",
        "pinned_files",
    )

    size = Number(SIZE, "Bytes of its files; -1 for a free block that is known by name only.")
    num_files = Number(FILES, "Number of its files.")
    last_update = Number(TIME, "Unix seconds.")
    id = Number(ID, "The store's number, 0 for a block that is not stored.")

    def __init__(
        self,
        name: str,
        dataset: Dataset | str,
        size: int = 0,
        num_files: int = 0,
        is_open: bool = False,
        last_update: int = 0,
        bid: int = 0,
        internal_name: bool = True,
    ) -> None:
        self._name: str | None = name if internal_name else self.to_internal_name(name)
        self.dataset = _dataset(dataset) if isinstance(dataset, str) else dataset
        self._cells: Cells = [0, size, num_files, is_open, last_update, bid]
        self.at = 0
        self._windows: Windows[Dataset, Block] | None = None
        self.pinned_files: dict[str, File] | None = None

    @classmethod
    def of_row(cls, dataset: Dataset, at: int, windows: Windows[Dataset, Block]) -> Block:
        """The object for a row of a dataset, which had none."""
        block = cls.__new__(cls)
        block._name = None
        block.dataset, block._cells, block.at, block._windows = dataset, dataset.rows, at, windows
        block.pinned_files = None
        windows.held[at] = ref(block)
        return block

    def join(self, at: int, windows: Windows[Dataset, Block]) -> None:
        """Stand for a row of the dataset from now on."""
        self._cells, self.at, self._windows = self.dataset.rows, at, windows
        windows.held[at] = ref(self)

    def leave(self) -> None:
        """Stand for no row any more, and keep its values."""
        self._name = self.name
        self._cells = [*self._cells[self.at : self.at + WIDTH]]
        if self._windows is not None:
            self._windows.held.pop(self.at, None)
        self.at, self._windows = 0, None

    @classmethod
    def free(cls, name: str) -> Block:
        """A block that is known by its full name only; its size is -1.

        Raises ObjectError when it is no full name.
        """
        dataset_name, block_name = full_name.split(name)
        return cls(block_name, dataset_name, size=-1, internal_name=False)

    @property
    def name(self) -> str:
        """Unique in the dataset; never changes."""
        if self._name is None:
            self._name = self.dataset.block_name(self._cells[self.at + NAME])
        return self._name

    @property
    def is_open(self) -> bool:
        """May files be added?"""
        return bool(self._cells[self.at + OPEN])

    @is_open.setter
    def is_open(self, is_open: bool) -> None:
        self._cells[self.at + OPEN] = bool(is_open)

    @property
    def number(self) -> int:
        """Which row of its dataset it is, counted from 0."""
        return self.at // WIDTH

    @property
    def is_embedded(self) -> bool:
        """Is it a row of its dataset?"""
        return self._windows is not None

    @property
    def replicas(self) -> set[BlockReplica]:
        """The replicas at all sites, as they are now."""
        if not self.is_embedded:
            return set()
        found = (replica.member(self) for replica in self.dataset.replicas)
        return {replica for replica in found if replica is not None}

    @property
    def files(self) -> set[File]:
        """The files, from the store when first asked for.

        Raises IntegrityError when they are not as many and as large as the block says.
        """
        repository = self.dataset.repository
        if repository is not None:
            return set(repository.files.of(self).values())
        return set((self.pinned_files or {}).values())

    @staticmethod
    def to_internal_name(name: str) -> str:
        """The name in memory of a name that people use."""
        return name

    @staticmethod
    def to_real_name(name: str) -> str:
        """The name that people use of a name in memory."""
        return name

    @staticmethod
    def from_full_name(name: str) -> tuple[str, str]:
        """Names of dataset and block.  Raises ObjectError when it is no full name."""
        return full_name.split(name)

    def real_name(self) -> str:
        """The name that people use."""
        return self.to_real_name(self.name)

    def full_name(self) -> str:
        """The dataset's name, `#`, the name of the block."""
        return full_name.join(self.dataset.name, self.real_name())

    def find_file(self, lfn: str, must_find: bool = False) -> File | None:
        """The file of a name.  Raises ObjectError when it is not there although it must."""
        for file in self.files:
            if file.lfn == lfn:
                return file
        if must_find:
            raise ObjectError(f"Could not find file {lfn} in {self.full_name()}")
        return None

    def find_replica(self, site: Site | str, must_find: bool = False) -> BlockReplica | None:
        """The replica at a site.  Raises ObjectError when it is not there although it must."""
        name = site if isinstance(site, str) else site.name
        replica = self.dataset.find_replica(name) if self.is_embedded else None
        found = None if replica is None else replica.member(self)
        if found is None and must_find:
            raise ObjectError(f"Could not find replica of {self.full_name()} in {name}")
        return found

    def add_file(self, file: File) -> None:
        """Add to the list of files.  Changes neither `size` nor `num_files`."""
        self._changeable_files()[file.lfn] = file

    def remove_file(self, file: File) -> None:
        """Remove from the list of files.  Changes neither `size` nor `num_files`."""
        self._changeable_files().pop(file.lfn, None)

    def _changeable_files(self) -> dict[str, File]:
        repository = self.dataset.repository
        if repository is not None:
            return repository.files.pin(self)
        if self.pinned_files is None:
            self.pinned_files = {}
        return self.pinned_files

    def embed_into(self, repository: Repository) -> tuple[Block, bool]:
        """Bring this into the inventory: the embedded block, and whether anything changed.

        Raises ObjectError for an unknown dataset, IntegrityError when sums are to change that were wrong before.
        """
        dataset = repository.datasets.get(self.dataset.name)
        if dataset is None:
            raise ObjectError(f"Unknown dataset {self.dataset.name}")
        embedded = dataset.find_block(self.name)
        if embedded is None:
            embedded = Block(
                self.name, dataset, self.size, self.num_files, self.is_open, self.last_update, self.id
            )
            repository.files.pin_new(embedded)
            dataset.add_block(embedded)
        elif embedded == self:
            return embedded, False
        else:
            resized = embedded.size != self.size or embedded.num_files != self.num_files
            if resized and repository.files.tracked:
                repository.files.pin(embedded)
            embedded.size, embedded.num_files = self.size, self.num_files
            embedded.is_open, embedded.last_update = self.is_open, self.last_update
        repository.membership.content_changed(dataset)
        return embedded, True

    def unlink_from(self, repository: Repository) -> Block | None:
        """Take the block of this name out of the inventory, with its replicas."""
        embedded = repository.known_block(self)
        if embedded is None:
            return None
        for replica in list(embedded.replicas):
            replica.unlink(repository)
        embedded.dataset.remove_block(embedded)
        repository.membership.content_changed(embedded.dataset)
        return embedded

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, Block):
            return NotImplemented
        return (
            self.name == other.name
            and self.dataset.name == other.dataset.name
            and self.size == other.size
            and self.num_files == other.num_files
            and self.is_open == other.is_open
            and self.last_update == other.last_update
        )

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return (
            f"Block({self.real_name()!r},{self.dataset.name!r},{self.size},{self.num_files},{self.is_open},"
            f"{self.last_update},{self.id},False)"
        )


def _dataset(name: str) -> Dataset:
    from dynamo.dataformat.dataset import Dataset  # a dataset makes its own blocks

    return Dataset(name)
