"""Files: the content of blocks."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, ClassVar

from dynamo.dataformat.block import Block
from dynamo.dataformat.exceptions import ObjectError

if TYPE_CHECKING:
    from dynamo.dataformat.repository import Repository


class File:
    """A file of a block.

    `checksum` holds one value for each of `checksum_algorithms`.  `id` is the store's number, 0 for a file that is
    not stored.
    """

    __slots__ = ("_lfn", "block", "checksum", "id", "size")

    checksum_algorithms: ClassVar[tuple[str, ...]] = ()

    def __init__(
        self,
        lfn: str,
        block: Block | str | None = None,
        size: int = 0,
        checksum: Iterable[object] = (),
        fid: int = 0,
    ) -> None:
        self._lfn = lfn
        self.block = Block.free(block) if isinstance(block, str) else block
        self.size = size
        self.checksum = tuple(checksum)
        self.id = fid

    @property
    def lfn(self) -> str:
        """The logical file name, unique in the whole store; never changes."""
        return self._lfn

    @property
    def name(self) -> str:
        """The same as `lfn`."""
        return self._lfn

    def embed_into(self, repository: Repository) -> tuple[File, bool]:
        """Bring this into the inventory: the embedded file, and whether anything changed.

        Sizes of the block and of its replicas are the caller's duty, see `Block.grow`.
        Raises ObjectError for a file without block, or whose block is unknown.
        """
        if self.block is None:
            raise ObjectError(f"Cannot embed into inventory a stray file {self._lfn}")
        block = repository.find_block(self.block)
        if not repository.files.tracked:
            return File(self._lfn, block, self.size, self.checksum), True
        members = repository.files.pin(block)
        embedded = members.get(self._lfn)
        if embedded is None:
            embedded = File(self._lfn, block, self.size, self.checksum, self.id)
            members[self._lfn] = embedded
            return embedded, True
        if embedded == self:
            return embedded, False
        embedded.size, embedded.checksum = self.size, self.checksum
        return embedded, True

    def unlink_from(self, repository: Repository) -> File | None:
        """Take the file of this name out of its block and out of all partial replicas of it.

        The size of the block is the caller's duty.  Raises IntegrityError when the block's files are not those that
        it counts.
        """
        block = None if self.block is None else repository.known_block(self.block)
        if block is None:
            return None
        if repository.files.tracked:
            embedded = repository.files.of(block).get(self._lfn)
            if embedded is None:
                return None
            del repository.files.pin(block)[self._lfn]
        else:
            embedded = repository.files.to_delete(block, self)
            if embedded is None:
                return None
        for replica in block.replicas:
            replica.delete_file(embedded, full_deletion=True)
        repository.membership.content_changed(block.dataset)
        return embedded

    def __eq__(self, other: object) -> bool:
        if self is other:
            return True
        if not isinstance(other, File):
            return NotImplemented
        return (
            self._lfn == other._lfn
            and self.size == other.size
            and self.checksum == other.checksum
            and _full_name(self) == _full_name(other)
        )

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return f"File({self._lfn!r},{_full_name(self)!r},{self.size},{self.checksum!r},{self.id})"


def _full_name(file: File) -> str | None:
    return None if file.block is None else file.block.full_name()
