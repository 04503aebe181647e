"""Downloads signed for Secure Boot: a farm's words are written first, then the program is signed; a few are kept."""

from __future__ import annotations

import asyncio
import tempfile
from collections import OrderedDict
from pathlib import Path

from images.bootstrap.patched import Patched, plain
from images.debian import sha256_file
from images.node.signed_program import sign

KEPT = 8
"""Signed downloads on disk, each as large as an image."""


class Signer:
    """Signs one download at a time with a key of the service's owner; the newest `kept` stay in `folder`."""

    def __init__(self, key: Path, certificate: Path, folder: Path, kept: int = KEPT) -> None:
        self._key = key
        self._certificate = certificate
        self._folder = folder
        self._kept = kept
        self._found: OrderedDict[str, Patched] = OrderedDict()
        self._busy = asyncio.Lock()

    async def get(self, program: Patched, suffix: str) -> Patched:
        """The program with a signature, as it is (`.efi`) or as a disk (`.img`).  Raises ImageError, OSError."""
        name = f"{program.etag}{suffix}"
        async with self._busy:
            if name not in self._found:
                self._found[name] = await asyncio.to_thread(self._make, program, name)
                while len(self._found) > self._kept:
                    _, old = self._found.popitem(last=False)
                    old.file.unlink(missing_ok=True)
            self._found.move_to_end(name)
            return self._found[name]

    def _make(self, program: Patched, name: str) -> Patched:
        self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        target = self._folder / name
        with tempfile.NamedTemporaryFile(suffix=".efi", dir=self._folder) as file:
            for piece in program.chunks(0, program.size):
                file.write(piece)
            file.flush()
            sign(Path(file.name), self._key, self._certificate, target)
        return plain(target, sha256_file(target))
