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


def patched(file: Path, sha256: str, words: str) -> Patched:
    """A farm's download from an artefact whose hash is `sha256`.  Raises SlotTextError, OSError."""
    with file.open("rb") as stream, mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ) as content:
        change = patch(content, words)
        size = len(content)
    return Patched(file, size, tag(sha256, words), change)


def plain(file: Path, sha256: str) -> Patched:
    """An artefact as it is."""
    return Patched(file, file.stat().st_size, tag(sha256, ""))


def tag(sha256: str, words: str) -> str:
    """The entity tag: equal for equal content."""
    return hashlib.sha256(f"{sha256} {words}".encode()).hexdigest()[:32]
