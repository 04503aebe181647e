"""The inventory that a program sees: a view of the server's image, whose changes are noted down."""

from __future__ import annotations

from dynamo.core.components.persistency import InventoryStore
from dynamo.core.objectrepository import ObjectRepository
from dynamo.dataformat import File
from dynamo.dataformat.block_files import BlockFiles
from dynamo.dataformat.repository import Repository


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
