"""A finished image with the words of one farm in it, never stored: before the slot, the slot, the rest."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from images.node.slot_text import Patch, patch

CHUNK = 1 << 20
"""Bytes that are in memory at once for each download."""
AROUND = 4096
"""Bytes before and behind the begin of a slot, which is shorter than that."""


@dataclass(frozen=True, slots=True)
class Patched:
    """One download; it knows its size and tag without having been made."""

    file: Path
    size: int
    etag: str
    change: Patch | None = None

    def chunks(self, start: int, stop: int) -> Iterator[bytes]:
        """The bytes from `start` to before `stop`, in pieces."""
        with self.file.open("rb") as stream:
            position = start
            stream.seek(position)
            while position < stop:
                piece = stream.read(min(CHUNK, stop - position))
                if not piece:
                    return
                yield self._laid_over(piece, position)
                position += len(piece)

    def sha256(self) -> str:
        """Hash of the whole download; reads the whole file."""
        digest = hashlib.sha256()
        for piece in self.chunks(0, self.size):
            digest.update(piece)
        return digest.hexdigest()

    def _laid_over(self, piece: bytes, position: int) -> bytes:
        if self.change is None:
            return piece
        begin = max(position, self.change.offset)
        end = min(position + len(piece), self.change.offset + len(self.change.content))
        if begin >= end:
            return piece
        fresh = self.change.content[begin - self.change.offset : end - self.change.offset]
        return piece[: begin - position] + fresh + piece[end - position :]


@dataclass(frozen=True, slots=True)
class Slot:
    """Where an artefact has its farm slot, found once: `around` are the bytes from `begin` on that hold it."""

    file: Path
    size: int
    begin: int
    around: bytes


def find_slot(file: Path) -> Slot:
    """Search a whole artefact for its one slot.  Raises SlotTextError, OSError."""
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        begin = max(0, patch(content, "").offset - AROUND)
        return Slot(file, len(content), begin, content[begin : begin + 2 * AROUND])


def patched(slot: Slot, sha256: str, words: str) -> Patched:
    """A farm's download from an artefact whose hash is `sha256`.  Raises SlotTextError."""
    change = patch(slot.around, words)
    return Patched(
        slot.file, slot.size, tag(sha256, words), Patch(slot.begin + change.offset, change.content)
    )


def plain(file: Path, sha256: str) -> Patched:
    """An artefact as it is."""
    return Patched(file, file.stat().st_size, tag(sha256, ""))


def tag(sha256: str, words: str) -> str:
    """The entity tag: equal for equal content."""
    return hashlib.sha256(f"{sha256} {words}".encode()).hexdigest()[:32]
