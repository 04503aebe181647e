"""Archives on disk, named by their SHA-256, and a note for each address about what it held last.

    blobs/<sha256>              complete archives; a file's time is that of its last use
    refs/<sha256 of the URL>    JSON: address, content, what the server said about it
    new/                        downloads on their way; whatever is in there after a start is rubbish

Everything in here may be deleted at any time and is fetched again.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from provisioners.images.download import Validators

_SHA256 = re.compile(r"[0-9a-f]{64}")
_UNTOUCHABLE_SECONDS = 3600.0
"""Between `fetch` and the end of `unpack` an archive must not go."""
_MAX_REF = 16384


@dataclass(frozen=True, slots=True)
class Ref:
    """What an address held when it was last asked."""

    url: str
    sha256: str
    md5: str
    etag: str = ""
    modified: str = ""

    @property
    def validators(self) -> Validators:
        return Validators(self.etag, self.modified)


class BlobCache:
    """`max_bytes` bounds what is kept; the archive used longest ago goes first."""

    def __init__(self, root: Path, max_bytes: int) -> None:
        self._root = root
        self._max_bytes = max_bytes
        self._cleaned = False

    def find(self, sha256: str) -> Path | None:
        """The archive with this content, marked as used now."""
        path = self._blob(sha256)
        try:
            os.utime(path)
        except FileNotFoundError:
            return None
        return path

    def ref(self, url: str) -> Ref | None:
        """What is known about an address; a note that cannot be read counts as none."""
        try:
            with self._ref(url).open("rb") as file:
                ref = Ref(**json.loads(file.read(_MAX_REF)))
        except (FileNotFoundError, ValueError, TypeError):
            return None
        return ref if ref.url == url and _SHA256.fullmatch(str(ref.sha256)) else None

    def remember(self, ref: Ref) -> None:
        """Note what an address holds now."""
        with self.new_file() as path:
            path.write_text(json.dumps(asdict(ref)))
            self._move(path, self._ref(ref.url))

    def keep(self, path: Path, sha256: str) -> Path:
        """Move a complete, synced download to its place and make room for it."""
        target = self._blob(sha256)
        size = path.stat().st_size
        self._evict(self._max_bytes - size)
        os.utime(path)
        self._move(path, target)
        return target

    @contextmanager
    def new_file(self) -> Iterator[Path]:
        """A temporary file in the cache's own file system; gone afterwards unless it was moved."""
        folder = self._folder("new")
        if not self._cleaned:
            for leftover in folder.iterdir():
                leftover.unlink(missing_ok=True)
            self._cleaned = True
        descriptor, name = tempfile.mkstemp(dir=folder)
        os.close(descriptor)
        path = Path(name)
        try:
            yield path
        finally:
            path.unlink(missing_ok=True)

    def _evict(self, target_bytes: int) -> None:
        """Delete what was used longest ago until at most `target_bytes` are kept, or all the rest is in use."""
        blobs = []
        with os.scandir(self._folder("blobs")) as entries:
            for entry in entries:
                status = entry.stat(follow_symlinks=False)
                blobs.append((status.st_mtime, status.st_size, Path(entry.path)))
        kept = sum(size for _, size, _ in blobs)
        for used, size, path in sorted(blobs):
            if kept <= target_bytes or used > time.time() - _UNTOUCHABLE_SECONDS:
                return
            path.unlink(missing_ok=True)
            kept -= size

    def _blob(self, sha256: str) -> Path:
        if not _SHA256.fullmatch(sha256):
            raise ValueError(f"not a SHA-256: {sha256!r}")
        return self._root / "blobs" / sha256

    def _ref(self, url: str) -> Path:
        return self._root / "refs" / hashlib.sha256(url.encode()).hexdigest()

    def _folder(self, name: str) -> Path:
        folder = self._root / name
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return folder

    def _move(self, source: Path, target: Path) -> None:
        self._folder(target.parent.name)
        source.rename(target)
        descriptor = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
