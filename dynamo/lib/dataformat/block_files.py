"""Lists of files, which stay in the store until somebody asks for them."""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Protocol

from dynamo.dataformat.exceptions import IntegrityError

if TYPE_CHECKING:
    from dynamo.dataformat.block import Block
    from dynamo.dataformat.file import File

CACHED_BLOCKS = 1000
"""Number of blocks whose unchanged files are kept in memory."""


class FileSource(Protocol):
    """What knows the files of blocks: a store.  `by_name`: also of blocks that have no number."""

    by_name: bool

    def get_files(self, block: Block) -> list[File]:
        """All files of a block, linked to it."""


class BlockFiles:
    """Files of the blocks of one inventory.

    `tracked`: changes are kept here, in memory, as programs want it; a server keeps them in its store alone.
    """

    names_only = False
    """Do lists of replicas hold names alone, which are not looked up?"""

    def __init__(self, source: FileSource | None = None, tracked: bool = True) -> None:
        self.source = source
        self.tracked = tracked
        self.pinned: list[Block] = []
        """Blocks whose files have changed."""
        self._cache: OrderedDict[Block, dict[str, File]] = OrderedDict()

    def of(self, block: Block) -> dict[str, File]:
        """The files of a block by name.

        Raises IntegrityError when the store's files are not as many and as large as the block says.
        """
        if block.pinned_files is not None:
            return block.pinned_files
        cached = self._cache.get(block)
        if cached is not None:
            return cached
        files = self.stored(block)
        if self._may_be_stored(block):
            _check(block, files)
        if self.tracked:
            self._cache[block] = files
            if len(self._cache) > CACHED_BLOCKS:
                self._cache.popitem(last=False)
        return files

    def stored(self, block: Block) -> dict[str, File]:
        """The files of a block as the store has them, by name."""
        if self.source is None or not self._may_be_stored(block):
            return {}
        return {file.lfn: file for file in self.source.get_files(block)}

    def _may_be_stored(self, block: Block) -> bool:
        return self.source is not None and (block.id != 0 or self.source.by_name)

    def to_delete(self, block: Block, file: File) -> File | None:
        """The embedded file that a free one stands for, in a server; None when there is none."""
        return self.stored(block).get(file.lfn)

    def names(self, block: Block) -> dict[int | str, str]:
        """Names of files by number: those of the store, and those that have changed."""
        found: dict[int | str, str] = {}
        for files in (self.stored(block), block.pinned_files or {}):
            found.update({file.id: file.lfn for file in files.values() if file.id})
        return found

    def pin_new(self, block: Block) -> None:
        """Begin the list of a block that the store does not have."""
        if self.tracked:
            block.pinned_files = {}
            self.pinned.append(block)

    def pin(self, block: Block) -> dict[str, File]:
        """The files of a block that is about to change; they stay in memory."""
        files = self.of(block)
        if self.tracked and block.pinned_files is None:
            self._cache.pop(block, None)
            block.pinned_files = files
            self.pinned.append(block)
        return files


def _check(block: Block, files: dict[str, File]) -> None:
    size = sum(file.size for file in files.values())
    if size != block.size or len(files) != block.num_files:
        raise IntegrityError(
            f"Block {block.full_name()} should have {block.num_files} files of {block.size} bytes together, "
            f"but the store has {len(files)} of {size} bytes"
        )
