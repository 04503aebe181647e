"""The inventory of a server: everything in memory, and in a store."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from dynamo.core.borrowed import BorrowedFiles, check_files
from dynamo.core.components.persistency import Commit, InventoryStore, Patterns, Selection, Version
from dynamo.core.objectrepository import Action
from dynamo.core.proxy import InventoryProxy
from dynamo.dataformat import ConfigurationError, DynamoError, OperationalError, Partition, wire
from dynamo.dataformat.block_files import BlockFiles
from dynamo.dataformat.repository import Repository
from dynamo.dataformat.wire import Object
from dynamo.policy.partition_file import read_partitions

LOG = logging.getLogger(__name__)

_KEYS = {"persistency", "partition_def_path"}
_EVERYTHING: Patterns = (None, None)


class BatchRefused(DynamoError):
    """A batch of changes does not fit the inventory; nothing of it was applied."""


class DynamoInventory(Repository):
    """All objects in memory, with a store that has the same.

    Configuration: `persistency` with `module` and `config` (absent = no store of its own), `partition_def_path`.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        """Opens the store, loads nothing.  Raises ConfigurationError."""
        super().__init__()
        unknown = set(config) - _KEYS
        if unknown:
            raise ConfigurationError(
                f"The inventory's configuration has unknown keys {', '.join(sorted(unknown))}; "
                f"known are {', '.join(sorted(_KEYS))}"
            )
        path = config.get("partition_def_path", None)
        self._partition_file = None if path is None else Path(path)
        self._store: InventoryStore | None = None
        self.is_borrowed = False
        """Is the store another server's, which only that one changes?"""
        self.version = Version(0, 0)
        """Which batches the image has."""
        self._selection = Selection()
        self._dirty = False
        self.loaded = False
        persistency = config.get("persistency", None)
        if persistency is not None:
            self.init_store(persistency["module"], persistency["config"])
            self._opened().readonly_config = persistency.get("readonly_config")

    @property
    def has_store(self) -> bool:
        """Is there a store?"""
        return self._store is not None

    @property
    def store(self) -> InventoryStore | None:
        """The store, if there is one."""
        return self._store

    def init_store(self, module: str, config: dict[str, Any]) -> None:
        """Open a store.  Raises ConfigurationError, OperationalError."""
        self._store = InventoryStore.get_instance(module, config)
        self.files = BlockFiles(self._store, tracked=False)

    def borrow_store(self, store: InventoryStore) -> None:
        """Read from another server's store from now on; nothing is written there.

        What is in memory does not belong to it, so `load` has to follow.
        """
        if self._store is not None:
            self._store.close()
        store.by_name = True
        self._store, self.is_borrowed, self.loaded = store, True, False
        self.files = BorrowedFiles(store)

    def close(self) -> None:
        """Give the store's connection back."""
        if self._store is not None:
            self._store.close()

    def store_version(self) -> Version:
        """Which batches the store holds."""
        return self._opened().version()

    def check_store(self) -> bool:
        """Can the store be reached?"""
        return self._store is not None and self._store.check_connection()

    def flush_to_store(self) -> None:
        """Replace everything that is stored by what is in memory."""
        self._opened().save_data(self)

    def clone_store(self, module: str, config: dict[str, Any]) -> None:
        """Replace everything that is stored by what another store holds."""
        other = read_only_store(module, config)
        try:
            self.clone_from(other)
        finally:
            other.close()

    def clone_from(self, other: InventoryStore) -> None:
        """Replace everything that is stored by what another store holds."""
        self._opened().clone_from(other)

    def load(
        self, groups: Patterns = _EVERYTHING, sites: Patterns = _EVERYTHING, datasets: Patterns = _EVERYTHING
    ) -> None:
        """Read the partition definitions, and from the store what patterns choose: all by default.

        Raises ConfigurationError for wrong definitions, OperationalError when the store cannot be read.
        """
        self._selection = Selection(groups, sites, datasets)
        self.loaded = False
        self.clear()
        partitions = read_partitions(self._partition_file)
        if self._store is None:
            self.define_partitions(partitions)
        else:
            self.define_partitions(self._numbered(self._store, partitions, self.is_borrowed))
            self.version = self._store.load_data(self, self._selection)
        self.loaded = True

    @staticmethod
    def _numbered(store: InventoryStore, partitions: list[Partition], is_borrowed: bool) -> list[Partition]:
        numbers = store.get_partitions()
        new = []
        for partition in partitions:
            partition.id = numbers.pop(partition.name, 0)
            if partition.id == 0:
                new.append(partition)
        if new and not is_borrowed:
            with store.transaction():
                for partition in new:
                    store.save(partition)
        for name, number in numbers.items():
            LOG.warning("Partition %s is stored but not defined; nothing belongs to it", name)
            partitions.append(Partition(name, None, number))
        return partitions

    def create_proxy(self, store: InventoryStore | None = None) -> InventoryProxy:
        """The inventory for a program, in a process that was forked for it.

        `store` is a handle that the process has opened; by default one is opened here.
        """
        if store is None and self._store is not None:
            store = self._store.new_handle()
        return InventoryProxy(self, store)

    def update(self, obj: Object) -> Any:
        """Insert or overwrite one object, in memory and in the store; the embedded object.

        Raises ObjectError for what cannot be; nothing changes then.
        """
        return self._single("update", obj)

    def delete(self, obj: Object) -> Any:
        """Take one object out, of memory and of the store; None for an unknown one."""
        return self._single("delete", obj)

    def _single(self, action: Action, obj: Object) -> Any:
        try:
            return self.apply([(action, wire.encode(obj))])[0]
        except BatchRefused as refused:
            raise refused.__cause__ or refused from None

    def apply(
        self,
        commands: Iterable[tuple[Action, dict[str, Any]]],
        version: Version | Callable[[], Version] | None = None,
    ) -> list[Any]:
        """Apply a batch, all or nothing, in memory and in one transaction of the store; the embedded objects.

        `version` is stored with it; a function is called when everything fits and before anything is final.
        Raises BatchRefused when a command does not fit, OperationalError when the store or that function fails.
        """
        objects = [(action, _decoded(action, value)) for action, value in commands]
        done: list[Any] = []
        self._dirty = False
        own = None if self.is_borrowed else self._store
        try:
            if self.is_borrowed and callable(version):
                check_files(self._opened(), objects)
            with nullcontext(Commit()) if own is None else own.transaction() as commit:
                for action, obj in objects:
                    done.append(self._apply(action, obj, own))
                commit.version = version() if callable(version) else version
            self.version = commit.version or self.version
        except Exception as error:
            if self._dirty:
                self._reload(error)
            if isinstance(error, OperationalError):
                raise
            raise BatchRefused(f"Command {len(done) + 1} of {len(objects)} was refused: {error}") from error
        return done

    def _apply(self, action: Action, obj: Object, own: InventoryStore | None) -> Any:
        if action == "update":
            embedded, changed = obj.embed_into(self)
            if changed:
                self._dirty = True
                if own is not None:
                    own.save(embedded)
            return embedded
        removed = obj.unlink_from(self)
        if removed is not None:
            self._dirty = True
            if own is not None:
                own.delete(removed)
        return removed

    def _reload(self, error: Exception) -> None:
        LOG.warning("A batch was refused, the inventory is loaded again: %s", error)
        self.loaded = False
        if self._store is not None:
            chosen = self._selection
            self.load(chosen.groups, chosen.sites, chosen.datasets)

    def _opened(self) -> InventoryStore:
        if self._store is None:
            raise OperationalError("This inventory has no store; configure `persistency`")
        return self._store


def read_only_store(module: str, config: dict[str, Any]) -> InventoryStore:
    """A store that is there, and that nothing is written to.  Raises ConfigurationError, OperationalError."""
    if "db_params" in config:
        return InventoryStore.get_instance(module, {"db_params": {**config["db_params"], "read_only": True}})
    return InventoryStore.get_instance(module, {**config, "read_only": True})


def _decoded(action: str, value: dict[str, Any]) -> Object:
    if action not in ("update", "delete"):
        raise BatchRefused(f"Unknown command {action[:40]!r}; known are update and delete")
    try:
        return wire.decode(value)
    except DynamoError as error:
        raise BatchRefused(str(error)) from error
