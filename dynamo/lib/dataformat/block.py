"""Blocks: the parts of datasets that are copied and deleted as one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dynamo.dataformat import full_name
from dynamo.dataformat.dataset import Dataset
from dynamo.dataformat.exceptions import ObjectError

if TYPE_CHECKING:
    from dynamo.dataformat.blockreplica import BlockReplica
    from dynamo.dataformat.file import File
    from dynamo.dataformat.repository import Repository
    from dynamo.dataformat.site import Site


class Block:
    """A part of a dataset.

    `size` in bytes and `num_files` are the sums over its files, kept by whoever adds files.  `last_update` in Unix
    seconds.  `replicas` are those of this block at all sites.
    """

    __slots__ = (
        "_name",
        "dataset",
        "id",
        "is_open",
        "last_update",
        "num_files",
        "pinned_files",
        "replicas",
        "size",
    )

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
        self._name = name if internal_name else self.to_internal_name(name)
        self.dataset = Dataset(dataset) if isinstance(dataset, str) else dataset
        self.size = size
        self.num_files = num_files
        self.is_open = is_open
        self.last_update = last_update
        self.id = bid
        self.replicas: set[BlockReplica] = set()
        self.pinned_files: dict[str, File] | None = None

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
        return self._name

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
        return self.to_real_name(self._name)

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
        for replica in self.replicas:
            if replica.site.name == name:
                return replica
        if must_find:
            raise ObjectError(f"Could not find replica of {self.full_name()} in {name}")
        return None

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
        embedded = dataset.find_block(self._name)
        if embedded is None:
            embedded = Block(
                self._name, dataset, self.size, self.num_files, self.is_open, self.last_update, self.id
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
            self._name == other._name
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
