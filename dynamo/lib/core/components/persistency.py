"""What a store of the inventory can do."""

from __future__ import annotations

import importlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from dynamo.dataformat import Block, ConfigurationError, File
from dynamo.dataformat.repository import Repository
from dynamo.dataformat.wire import Object

Patterns = tuple[Sequence[str] | None, Sequence[str] | None]
"""Shell patterns of names to take, and of names to leave out; None = all, and none."""


class Version(NamedTuple):
    """Which batches of changes a store holds: the last one's epoch of the fleet, and its number."""

    epoch: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Selection:
    """What to load: everything, unless patterns say otherwise."""

    groups: Patterns = (None, None)
    sites: Patterns = (None, None)
    datasets: Patterns = (None, None)


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of one table, with the names of their columns."""

    name: str
    columns: tuple[str, ...]
    rows: Iterator[tuple[Any, ...]] = field(compare=False)


@dataclass(slots=True)
class Commit:
    """A transaction that is under way; `version` is stored with it, None leaves the old one."""

    version: Version | None = None


class InventoryStore(ABC):
    """A relational image of the inventory."""

    readonly_config: dict[str, Any] | None = None
    """The configuration with a user that may read and nothing else, for what programs inherit."""
    by_name: bool = False
    """Are objects looked up by name?  Numbers in memory mean nothing in a store that another server changes."""

    @staticmethod
    def get_instance(module: str, config: dict[str, Any]) -> InventoryStore:
        """The store that a configuration names as `file:Class`, both in the package `impl` beside this module.

        Raises ConfigurationError when there is none of that name.
        """
        match = re.fullmatch(r"([a-z_][a-z0-9_]*):([A-Za-z_]\w*)", module)
        if match is None:
            raise ConfigurationError(f"Store {module!r} is not written as file:Class")
        try:
            found = getattr(importlib.import_module(f"dynamo.core.components.impl.{match[1]}"), match[2])
        except (ImportError, AttributeError) as error:
            raise ConfigurationError(f"Store {module!r} does not exist: {error}") from None
        if not (isinstance(found, type) and issubclass(found, InventoryStore)):
            raise ConfigurationError(f"{module!r} is no store")
        return found(config)

    @abstractmethod
    def __init__(self, config: dict[str, Any]) -> None:
        """Open the store, and make it when it is new.

        Raises ConfigurationError for wrong configurations, OperationalError when it cannot be reached.
        """

    @abstractmethod
    def close(self) -> None:
        """Give the connection back."""

    @abstractmethod
    def release(self) -> None:
        """Hold nothing that a fork of this process must not inherit; the next use takes it again."""

    @abstractmethod
    def check_connection(self) -> bool:
        """Can the store be reached?"""

    @abstractmethod
    def new_handle(self, read_only: bool = True) -> InventoryStore:
        """The same store over a connection of its own, which another process may take over."""

    @abstractmethod
    def open_snapshot(self) -> InventoryStore:
        """A handle of its own that reads everything as of now, however long it is used."""

    @abstractmethod
    def version(self) -> Version:
        """Which batches are in the store."""

    @abstractmethod
    def transaction(self) -> AbstractContextManager[Commit]:
        """All that is saved and deleted within happens at its end, together with the new version, or not at all."""

    @abstractmethod
    def get_group_names(self, include: Sequence[str] | None, exclude: Sequence[str] | None) -> list[str]:
        """Names of stored groups."""

    @abstractmethod
    def get_site_names(self, include: Sequence[str] | None, exclude: Sequence[str] | None) -> list[str]:
        """Names of stored sites."""

    @abstractmethod
    def get_dataset_names(self, include: Sequence[str] | None, exclude: Sequence[str] | None) -> list[str]:
        """Names of stored datasets."""

    @abstractmethod
    def get_partitions(self) -> dict[str, int]:
        """Numbers of the stored partitions by name."""

    @abstractmethod
    def get_files(self, block: Block) -> list[File]:
        """All files of a block, linked to it."""

    @abstractmethod
    def get_file_id(self, lfn: str) -> int | None:
        """Number of a file; None when it is not stored."""

    @abstractmethod
    def find_block_containing(self, lfn: str) -> tuple[str, str] | None:
        """Names of dataset and block of a file; None when it is not stored."""

    @abstractmethod
    def load_data(self, repository: Repository, selection: Selection) -> Version:
        """Fill an inventory that has its partitions and nothing else; which batches it has then."""

    @abstractmethod
    def save(self, obj: Object) -> None:
        """Store an embedded object as it is, and give it a number when it has none."""

    @abstractmethod
    def delete(self, obj: Object) -> None:
        """Delete what is stored of an object that was taken out of the inventory, with what depends on it."""

    @abstractmethod
    def save_data(self, repository: Repository) -> None:
        """Replace everything that is stored by an inventory.  Files that are not in memory are lost."""

    @abstractmethod
    def tables(self) -> Iterator[Table]:
        """Everything that is stored, table by table, as of one moment."""

    @abstractmethod
    def clone_from(self, other: InventoryStore) -> None:
        """Replace everything that is stored by what another store holds, version included."""
