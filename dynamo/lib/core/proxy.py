"""The inventory that a program sees: a view of the server's image, whose changes are noted down."""

from __future__ import annotations

from typing import Any

from dynamo.core.components.persistency import InventoryStore
from dynamo.core.objectrepository import ObjectRepository
from dynamo.dataformat import BlockReplica, File, wire
from dynamo.dataformat.block_files import BlockFiles
from dynamo.dataformat.repository import Repository
from dynamo.dataformat.wire import Object


class InventoryProxy(ObjectRepository):
    """Shares the objects of a server's inventory, so it belongs into a process of its own, forked from the server.

    Lists of files come from `store`, a handle of that process.
    """

    def __init__(self, inventory: Repository, store: InventoryStore | None) -> None:
        super().__init__()
        self.groups, self.sites = inventory.groups, inventory.sites
        self.datasets, self.partitions = inventory.datasets, inventory.partitions
        self.membership = inventory.membership
        self._store = store
        self.files = inventory.files = BlockFiles(store, tracked=True)

    def find_file(self, lfn: str) -> File | None:
        """The file of a name, wherever it is; None when there is none."""
        for block in self.files.pinned:
            file = (block.pinned_files or {}).get(lfn)
            if file is not None and self.known_block(block) is block:
                return file
        place = None if self._store is None else self._store.find_block_containing(lfn)
        if place is None:
            return None
        dataset = self.datasets.get(place[0])
        found = None if dataset is None else dataset.find_block(place[1])
        return None if found is None else found.find_file(lfn)

    def _encoded(self, obj: Object) -> dict[str, Any]:
        """Numbers of files are those of one store, so a change that goes to all servers names the files."""
        value = wire.encode(obj)
        ids = value.get("file_ids") if isinstance(obj, BlockReplica) else None
        if ids and any(isinstance(member, int) for member in ids):
            assert isinstance(obj, BlockReplica), "only replicas have such a list"
            block = self.known_block(obj.block)
            names = {} if block is None else self.files.names(block)
            value["file_ids"] = tuple(names.get(member, member) for member in ids)
        return value
