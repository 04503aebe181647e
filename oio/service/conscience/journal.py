"""What a conscience must still know after a crash: a snapshot, and a journal of what has changed since. Blocking.

A line of the journal is a list of services as JSON. It is read over the snapshot, and may repeat what that says: of
everything the newest counts. Every line begins with its newline, so that one that was cut short by a crash spoils
nothing but itself.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

log = logging.getLogger(__name__)

MAX_JOURNAL: Final = 1 << 20
"""Bytes of the journal after which a snapshot is due."""


class Journal:
    """The files of one conscience: `snapshot`, and its journal beside it."""

    def __init__(self, snapshot: Path) -> None:
        self.snapshot = snapshot
        self.path = snapshot.with_suffix(".journal")
        self._size = 0
        self._in_folder = False

    def read(self) -> Iterator[list[dict[str, Any]]]:
        """The snapshot and then the lines of the journal; what cannot be read is logged and passed over."""
        for path in (self.snapshot, self.path):
            try:
                lines = path.read_text().splitlines()
            except FileNotFoundError:
                continue
            except (OSError, ValueError) as error:
                log.warning("%s cannot be read and is started anew: %s", path, error)
                continue
            for number, line in enumerate(lines, 1):
                if not line:
                    continue
                try:
                    documents = json.loads(line)
                    if not isinstance(documents, list):
                        raise ValueError("a list of services is expected")
                except ValueError as error:
                    log.warning("%s: line %d cannot be read: %s", path, number, error)
                    continue
                yield documents

    def append(self, documents: Sequence[dict[str, Any]], sync: bool) -> None:
        """Add changes; on the disk, with `sync`, when this returns. OSError when they cannot be written."""
        line = b"\n" + json.dumps(documents).encode()
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            size = os.fstat(descriptor).st_size
            if os.write(descriptor, line) != len(line):
                os.ftruncate(descriptor, size)
                raise OSError(f"{self.path}: no room left")
            if sync:
                os.fsync(descriptor)
            self._size = size + len(line)
        finally:
            os.close(descriptor)
        if sync and not self._in_folder:
            self._sync_folder()
            self._in_folder = True

    @property
    def long(self) -> bool:
        """Whether a snapshot is due."""
        return self._size > MAX_JOURNAL

    def save(self, documents: Sequence[dict[str, Any]]) -> None:
        """Write a snapshot and begin the journal anew. OSError; the old ones count then."""
        coming = self.snapshot.with_name(f"{self.snapshot.name}.{os.getpid()}")
        try:
            with coming.open("w") as file:
                json.dump(documents, file)
                file.write("\n")
                file.flush()
                os.fsync(file.fileno())
            coming.replace(self.snapshot)
        finally:
            coming.unlink(missing_ok=True)
        self._sync_folder()
        self.path.unlink(missing_ok=True)
        self._size, self._in_folder = 0, False

    def _sync_folder(self) -> None:
        descriptor = os.open(self.snapshot.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
