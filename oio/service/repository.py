"""The bases of one volume: which are here, open ones, copies coming and going. Blocking.

A marker under `.held` remembers every base that was ever here, so that a base whose file was lost is told from one
that never existed or was removed: only the latter may be founded anew.
"""

from __future__ import annotations

import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import Final

from oio.naming import BaseName
from oio.service.base import Base, CorruptBase, remove_files, sync_directory

REMOVED_MARK: Final = "removed"
"""What a marker begins with whose base is deleted; the number that tells it from others of its name may follow."""
CLOSE_TIMEOUT: Final = 10.0
"""Seconds for which the end waits for acts on bases."""


class Buried(Exception):
    """The base was deleted here, and is not taken back."""


class Presence(Enum):
    """What a volume knows of a base."""

    HERE = "here"
    LOST = "lost"
    REMOVED = "removed"
    NEVER = "never"


class Repository:
    """Bases of one service type below `volume`. Several threads may use it, one at a time for one base.

    No more than `most_open()` of them are kept open; the one unused for longest is closed first.
    """

    def __init__(self, volume: Path, namespace: str, most_open: Callable[[], int] = lambda: 512) -> None:
        self.volume = volume
        self.namespace = namespace
        self._most_open = most_open
        self._open: dict[BaseName, Base] = {}
        self._used: Counter[BaseName] = Counter()
        self._lock = threading.Condition()

    @contextmanager
    def using(self, name: BaseName) -> Iterator[None]:
        """While this lasts the base is not closed for having been unused longest."""
        with self._lock:
            self._used[name] += 1
        try:
            yield
        finally:
            with self._lock:
                self._used[name] -= 1
                if not self._used[name]:
                    del self._used[name]
                    self._lock.notify_all()

    @property
    def opened(self) -> int:
        """How many bases are open now."""
        return len(self._open)

    def path(self, name: BaseName, suffix: str = "") -> Path:
        """Where the file of a base stands."""
        return self.volume / name.checked().file(suffix)

    def presence(self, name: BaseName) -> Presence:
        """Whether the base is here; a damaged file is put aside and counts as lost."""
        try:
            self.open(name)
        except FileNotFoundError:
            return self._absence(name)
        return Presence.HERE

    def _absence(self, name: BaseName) -> Presence:
        text = self._marked(name)
        if text is None:
            return Presence.NEVER
        return Presence.REMOVED if text.startswith(REMOVED_MARK) else Presence.LOST

    def buried(self, name: BaseName) -> int:
        """The number of the base of this name that was deleted here last; 0 when none is known."""
        number = (self._marked(name) or "").removeprefix(REMOVED_MARK).strip()
        return int(number) if number.isdigit() else 0

    def names(self) -> list[BaseName]:
        """All bases here, open or not, without copies under a suffix."""
        found = []
        for path in self.volume.rglob("*"):
            stem, dot, kind = path.name.rpartition(".")
            # What SQLite keeps beside a base (`….meta2-wal`) is no base: to open it as one would put it aside.
            name = BaseName(kind, stem) if dot and kind.startswith("meta") and kind.isalnum() else None
            if name is not None and stem[:1] != "." and path == self.volume / name.file():
                found.append(name)
        return found

    def forget_removals(self, age: float) -> None:
        """Forget which bases were removed more than `age` seconds ago."""
        for marker in (self.volume / ".held").rglob("*"):
            if not marker.is_file() or time.time() - marker.stat().st_mtime < age:
                continue
            if marker.read_text().startswith(REMOVED_MARK):
                marker.unlink(missing_ok=True)

    def open(self, name: BaseName) -> Base:
        """The open base; FileNotFoundError when it is not here or was damaged."""
        path = self.path(name)
        with self._lock:
            base = self._open.pop(name, None)
        if base is not None and not path.exists():
            base.close()
            base = None
        if base is None:
            try:
                base = Base.open(path, name)
            except CorruptBase as error:
                self._put_aside(path)
                raise FileNotFoundError(path) from error
            if base.born() == self.buried(name):
                # The process ended between the tombstone and the file.
                base.close()
                remove_files(path)
                raise FileNotFoundError(path)
            if self._marked(name) != "":
                self._mark(name)
        self._keep(name, base)
        return base

    def condemn(self, name: BaseName) -> None:
        """Put a base aside that turned out to be damaged: it counts as lost from now on."""
        self.close(name)
        self._put_aside(self.path(name))

    def _put_aside(self, path: Path) -> None:
        if path.exists():
            path.replace(path.with_name(path.name + ".corrupted"))
        remove_files(path)

    def _keep(self, name: BaseName, base: Base) -> None:
        with self._lock:
            self._open[name] = base
            idle = [other for other in self._open if not self._used[other] and other != name]
            leaving = [self._open.pop(other) for other in idle[: max(0, len(self._open) - self._most_open())]]
        for other in leaving:
            other.close()

    def found(self, name: BaseName, admin: dict[str, str], born: int) -> None:
        """Make an empty base that never was here or was removed.

        FileExistsError when it is here, was lost, or when this very base was deleted.
        """
        if self.presence(name) not in (Presence.NEVER, Presence.REMOVED) or self.buried(name) == born:
            raise FileExistsError(self.path(name))
        # The marker comes second: a marker alone would say that the base was lost.
        base = Base.create(self.path(name), name, admin, born)
        self._mark(name)
        self._keep(name, base)

    def dump(self, name: BaseName, with_tail: bool = False) -> bytes:
        """A base as the bytes of an SQLite file, with what its log holds beyond the commit point or without."""
        target = self.volume / f".dump-{os.getpid()}-{name.name}"
        try:
            self.open(name).dump(target, with_tail)
            return target.read_bytes()
        finally:
            target.unlink(missing_ok=True)

    def install(self, name: BaseName, data: bytes, suffix: str = "") -> bool:
        """Put a copy in place of the base, at once or not at all; CorruptBase when the bytes are none.

        Nothing is done (False) when the log here goes on behind what the copy has committed: entries that this peer
        has acknowledged must not vanish, unless they are those of another base of this name. The promise given here
        stays in force. Raises Buried when this very base was deleted here.
        """
        here = self.open(name).facts() if not suffix and self.presence(name) is Presence.HERE else None
        path = self.path(name, suffix)
        path.parent.mkdir(parents=True, exist_ok=True)
        coming = path.with_name(path.name + f".new-{os.getpid()}")
        coming.write_bytes(data)
        try:
            copy = Base.open(coming, name)
            if not suffix and copy.born() == self.buried(name):
                copy.close()
                raise Buried(f"{name.name} was deleted here")
            there = copy.facts()
            if here is not None and here.last_seq > there.committed and copy.born() == self.open(name).born():
                copy.close()
                return False
            copy.promise(here.promised if here is not None else 0)
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
            return True
        finally:
            remove_files(coming)

    def remove(self, name: BaseName, suffix: str = "") -> bool:
        """Delete a copy, damaged or not; whether there was one."""
        if not suffix:
            self.close(name)
            self._marker(name).unlink(missing_ok=True)
        return remove_files(self.path(name, suffix))

    def bury(self, name: BaseName, born: int) -> bool:
        """Delete the copy of a base that is deleted at all its peers, unless it is another one's; whether it was here.

        A tombstone stays, that keeps this base from being made again here.
        """
        try:
            here = self.open(name).born()
        except FileNotFoundError:
            here = 0
        if here not in (0, born):
            return False
        if here or self._absence(name) is not Presence.REMOVED:
            # The tombstone comes first: with neither it nor the file, the base would count as lost.
            self._mark(name, f"{REMOVED_MARK} {born}")
        self.close(name)
        return remove_files(self.path(name)) and bool(here)

    def close(self, name: BaseName) -> None:
        """Close a base if it is open."""
        with self._lock:
            base = self._open.pop(name, None)
        if base is not None:
            base.close()

    def close_all(self) -> None:
        """Close everything, once nobody uses it any more."""
        with self._lock:
            self._lock.wait_for(lambda: not self._used, timeout=CLOSE_TIMEOUT)
        for name in list(self._open):
            self.close(name)

    def _marker(self, name: BaseName) -> Path:
        return self.volume / ".held" / name.checked().file()

    def _marked(self, name: BaseName) -> str | None:
        try:
            return self._marker(name).read_text()
        except FileNotFoundError:
            return None

    def _mark(self, name: BaseName, text: str = "") -> None:
        marker = self._marker(name)
        marker.parent.mkdir(parents=True, exist_ok=True)
        coming = marker.with_name(f"{marker.name}.new-{os.getpid()}")
        with coming.open("w") as file:
            file.write(text)
            if text:
                file.flush()
                os.fsync(file.fileno())
        coming.replace(marker)
        sync_directory(marker.parent)
