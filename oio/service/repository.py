"""The bases of one volume: which are here, open ones, copies coming and going. Blocking.

A marker under `.held` remembers every base that was ever here, so that a base whose file was lost is told from one
that never existed: only the latter may be founded anew.
"""

from __future__ import annotations

import os
from enum import Enum
from pathlib import Path
from typing import Final

from oio.service.base import Base, CorruptBase, remove_files, sync_directory
from oio.service.naming import BaseName

MAX_OPEN: Final = 512
"""Bases kept open; the one unused for longest is closed first."""


class Presence(Enum):
    """What a volume knows of a base."""

    HERE = "here"
    LOST = "lost"
    NEVER = "never"


class Repository:
    """Bases of one service type below `volume`."""

    def __init__(self, volume: Path, namespace: str) -> None:
        self.volume = volume
        self.namespace = namespace
        self._open: dict[BaseName, Base] = {}

    def path(self, name: BaseName, suffix: str = "") -> Path:
        """Where the file of a base stands."""
        return self.volume / name.checked().file(suffix)

    def presence(self, name: BaseName) -> Presence:
        """Whether the base is here; a damaged file is put aside and counts as lost."""
        try:
            self.open(name)
        except FileNotFoundError:
            return Presence.LOST if self._marker(name).exists() else Presence.NEVER
        return Presence.HERE

    def open(self, name: BaseName) -> Base:
        """The open base; FileNotFoundError when it is not here or was damaged."""
        path = self.path(name)
        base = self._open.pop(name, None)
        if base is not None and not path.exists():
            base.close()
            base = None
        if base is None:
            try:
                base = Base.open(path, name)
            except CorruptBase as error:
                path.replace(path.with_name(path.name + ".corrupted"))
                remove_files(path)
                raise FileNotFoundError(path) from error
        self._open[name] = base
        if len(self._open) > MAX_OPEN:
            self._open.pop(next(iter(self._open))).close()
        return base

    def found(self, name: BaseName, admin: dict[str, str]) -> None:
        """Make an empty base that never was here; FileExistsError when it is or was."""
        if self.presence(name) is not Presence.NEVER:
            raise FileExistsError(self.path(name))
        self._mark(name)
        self._open[name] = Base.create(self.path(name), name, admin)

    def dump(self, name: BaseName) -> bytes:
        """What is committed in a base, as the bytes of an SQLite file."""
        target = self.volume / f".dump-{os.getpid()}-{name.name}"
        try:
            self.open(name).dump(target)
            return target.read_bytes()
        finally:
            target.unlink(missing_ok=True)

    def install(self, name: BaseName, data: bytes, suffix: str = "") -> None:
        """Put a copy in place of the base, at once or not at all; CorruptBase when the bytes are none.

        The promise given here stays in force.
        """
        promised = 0
        if not suffix and self.presence(name) is Presence.HERE:
            promised = self.open(name).facts().promised
        path = self.path(name, suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        coming = path.with_name(path.name + f".new-{os.getpid()}")
        coming.write_bytes(data)
        try:
            copy = Base.open(coming, name)
            copy.promise(promised)
            copy.close()
            descriptor = os.open(coming, os.O_RDONLY)
            os.fsync(descriptor)
            os.close(descriptor)
            if not suffix:
                self._mark(name)
                self.close(name)
                remove_files(path)
            os.rename(coming, path)
            sync_directory(path.parent)
        finally:
            remove_files(coming)

    def remove(self, name: BaseName, suffix: str = "") -> bool:
        """Delete a base, damaged or not; whether there was one."""
        if not suffix:
            self.close(name)
            self._marker(name).unlink(missing_ok=True)
        return remove_files(self.path(name, suffix))

    def close(self, name: BaseName) -> None:
        """Close a base if it is open."""
        base = self._open.pop(name, None)
        if base is not None:
            base.close()

    def close_all(self) -> None:
        """Close everything."""
        for name in list(self._open):
            self.close(name)

    def _marker(self, name: BaseName) -> Path:
        return self.volume / ".held" / name.checked().file()

    def _mark(self, name: BaseName) -> None:
        marker = self._marker(name)
        marker.parent.mkdir(parents=True, exist_ok=True)
        marker.touch()
        sync_directory(marker.parent)
