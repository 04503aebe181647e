"""Reading from the store of another server: for a server that has none of its own.

Only its owner changes that store, and does so at its own pace.  So objects are found there by name, lists of partial
replicas hold names of files, and a batch that this server wants to write is checked against the store beforehand: the
owners of stores refuse what does not fit, but only when it is in the log.
"""

from __future__ import annotations

import time
from collections.abc import Iterable

from dynamo.core.components.persistency import InventoryStore, Version
from dynamo.core.objectrepository import Action
from dynamo.dataformat import Block, BlockReplica, Dataset, File, ObjectError, OperationalError
from dynamo.dataformat.block_files import BlockFiles
from dynamo.dataformat.wire import Object

LEVEL_S = 40.0
"""How long the owner of a store may take to apply what this server has applied, in seconds."""
LOOK_S = 0.02


class StoreAhead(OperationalError):
    """The store has batches that the image has not; the image has to catch up first."""


class BorrowedFiles(BlockFiles):
    """Files of a server's image whose store is another server's."""

    names_only = True

    def __init__(self, source: InventoryStore) -> None:
        super().__init__(source, tracked=False)

    def to_delete(self, block: Block, file: File) -> File | None:
        """The file itself: whether the store has it, and still or already, says nothing about the image."""
        return File(file.lfn, block, file.size, file.checksum)


def level_snapshot(store: InventoryStore, wanted: Version) -> InventoryStore:
    """A handle that reads a store as of a version; an owner that is behind is waited for.

    Raises StoreAhead, and OperationalError when the owner stays behind.
    """
    end = time.monotonic() + LEVEL_S
    while True:
        handle = store.open_snapshot()
        try:
            check_level(handle, wanted)
            return handle
        except StoreAhead:
            raise
        except OperationalError:
            handle.close()
            if time.monotonic() > end:
                raise
        time.sleep(LOOK_S)


def check_level(store: InventoryStore, wanted: Version) -> None:
    """Make sure that a store has exactly the batches up to a version.

    Raises StoreAhead when it has more, OperationalError when it has less.
    """
    found = store.version().sequence
    if found > wanted.sequence:
        raise StoreAhead(f"The borrowed store has batch {found}, the image {wanted.sequence}")
    if found < wanted.sequence:
        raise OperationalError(
            f"The borrowed store has batch {found}, the image {wanted.sequence}; does its server run?"
        )


def check_files(store: InventoryStore, objects: Iterable[tuple[Action, Object]]) -> None:
    """Make sure that the store of another server will take what a batch does to files.

    Raises ObjectError for a file of another block, and for a replica with a file that its block has not.
    """
    files = _FilesOfBatch(store)
    for action, obj in objects:
        match obj:
            case File() if obj.block is not None and action == "update":
                files.add(obj.lfn, obj.block.full_name())
            case File() if obj.block is not None:
                files.remove(obj.lfn)
            case Block() if action == "delete":
                files.remove_blocks(obj.full_name())
            case Dataset() if action == "delete":
                files.remove_blocks(obj.name + "#")
            case BlockReplica() if action == "update":
                for lfn in obj.file_ids or ():
                    if isinstance(lfn, str) and files.block_of(lfn) != obj.block.full_name():
                        raise ObjectError(f"Could not find file {lfn} in {obj.block.full_name()}")


class _FilesOfBatch:
    """Which block a file belongs to in the middle of a batch."""

    def __init__(self, store: InventoryStore) -> None:
        self._store = store
        self._known: dict[str, str | None] = {}
        self._gone: set[str] = set()

    def block_of(self, lfn: str) -> str | None:
        if lfn not in self._known:
            place = self._store.find_block_containing(lfn)
            block = None if place is None else f"{place[0]}#{place[1]}"
            if place is not None and not self._gone.isdisjoint((f"{place[0]}#", f"{place[0]}#{place[1]}")):
                block = None
            self._known[lfn] = block
        return self._known[lfn]

    def add(self, lfn: str, block: str) -> None:
        owner = self.block_of(lfn)
        if owner not in (None, block):
            raise ObjectError(f"File {lfn} already belongs to another block than {block}")
        self._known[lfn] = block

    def remove(self, lfn: str) -> None:
        self._known[lfn] = None

    def remove_blocks(self, gone: str) -> None:
        """Files of a block have gone, or of all blocks of `dataset#`; what is added later stays."""
        for lfn, block in self._known.items():
            if block is not None and (block == gone or (gone.endswith("#") and block.startswith(gone))):
                self._known[lfn] = None
        self._gone.add(gone)
