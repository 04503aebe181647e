"""Carry out a changed mapping of many bases: several at once, at a limited rate, and to the end after an interruption.

What is to be done stands in a journal before anything is. A base goes through `planned`, `copied` (its new peers have
it), `linked` (the directory names them) and `done` (the old ones have given it up); each step can be repeated.
"""

from __future__ import annotations

import fcntl
import json
import sqlite3
import threading
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from oio.common.exceptions import OioException, PreconditionFailed
from oio.common.rate import Rate
from oio.directory.meta import service_key
from oio.directory.meta0 import Meta0PrefixMapping

PLANNED, COPIED, LINKED, DONE = "planned", "copied", "linked", "done"
WINDOW: Final = 64
"""Bases that are written into the directory together; more wait longer, fewer write it more often."""
MAX_WORKERS: Final = 64
ROUNDS: Final = 5
"""Times that bases are tried: peers whose masters change meanwhile refuse for a moment."""
PAUSE: Final = 1.0
"""Seconds before the second round; twice as many before each further one."""

Progress = Callable[[int, int], None]
"""Called with the number of bases that are done and of all."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A base with its old and new peers, and how far it has come."""

    base: str
    old: tuple[str, ...]
    new: tuple[str, ...]
    state: str


class Journal:
    """The file of a plan. Only one process may use it; PreconditionFailed for the others."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._lock = threading.Lock()
        # Locked apart from the database, which SQLite locks by itself and only for a moment.
        self._held = path.with_name(f"{path.name}.lock").open("a")
        try:
            fcntl.flock(self._held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._held.close()
            raise PreconditionFailed(
                f"another process works with the journal {path}: wait for its end"
            ) from error
        self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS moves(base TEXT PRIMARY KEY, old TEXT, new TEXT, state TEXT)"
        )

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_error: object) -> None:
        self._db.close()
        self._held.close()

    def unfinished(self) -> list[Entry]:
        """Bases that have not come to their end."""
        rows = self._db.execute(
            "SELECT base, old, new, state FROM moves WHERE state<>? ORDER BY base", (DONE,)
        )
        return [Entry(base, _peers(old), _peers(new), state) for base, old, new, state in rows]

    def plan(self, entries: Iterable[Entry]) -> None:
        """Begin a new plan; PreconditionFailed while the last one is unfinished."""
        if self.unfinished():
            raise PreconditionFailed(
                f"the journal {self.path} holds a plan that is not finished: resume it first"
            )
        rows = [(one.base, json.dumps(one.old), json.dumps(one.new), one.state) for one in entries]
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("DELETE FROM moves")
            self._db.executemany("INSERT INTO moves VALUES(?, ?, ?, ?)", rows)
            self._db.execute("COMMIT")

    def note(self, bases: Sequence[str], state: str) -> None:
        """Remember how far some bases have come."""
        with self._lock:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("UPDATE moves SET state=? WHERE base=?", [(state, base) for base in bases])
            self._db.execute("COMMIT")


def _peers(text: str) -> tuple[str, ...]:
    return tuple(json.loads(text))


def planned(mapping: Meta0PrefixMapping, bases: Iterable[str]) -> list[Entry]:
    """What changed in a mapping since it was loaded."""
    entries = []
    for base in sorted(bases):
        old = tuple(map(service_key, mapping.raw_services_by_base.get(base, ())))
        new = tuple(map(service_key, mapping.services_by_base[base]))
        entries.append(Entry(base, old, new, PLANNED))
    return entries


class Relocation:
    """Carries out what a journal holds, with up to `workers` bases at once and `rate` bases a second (0: no limit)."""

    def __init__(
        self,
        mapping: Meta0PrefixMapping,
        journal: Journal,
        workers: int = 4,
        rate: float = 0.0,
        progress: Progress | None = None,
    ) -> None:
        if not 1 <= workers <= MAX_WORKERS:
            raise ValueError(f"workers {workers}: a number from 1 to {MAX_WORKERS} is expected")
        self._mapping = mapping
        self._journal = journal
        self._workers = workers
        self._rate = Rate(rate)
        self._progress = progress
        self._stop = threading.Event()

    def stop(self) -> None:
        """Begin with no further base; `run` returns when those that were begun are at rest."""
        self._stop.set()

    def run(self, **kwargs: Any) -> list[str]:
        """Names of bases that did not come to their end: they keep their old peers, or an old peer keeps a file.

        Raises the error of the directory when it could not be written.
        """
        total = len(self._journal.unfinished())
        for number in range(ROUNDS):
            entries = self._journal.unfinished()
            self._round(entries, total, **kwargs)
            left = self._journal.unfinished()
            if not left or self._stop.wait(PAUSE * 2**number if number + 1 < ROUNDS else 0.0):
                break
        return [entry.base for entry in self._journal.unfinished()]

    def _round(self, entries: Sequence[Entry], total: int, **kwargs: Any) -> None:
        for entry in entries:
            self._mapping.adopt(entry.base, entry.old, entry.new)
        done = total - len(entries)
        with ThreadPoolExecutor(self._workers) as pool:
            for begin in range(0, len(entries), WINDOW):
                if self._stop.is_set():
                    return
                window = entries[begin : begin + WINDOW]
                done += len(window) - len(self._window(pool, window, **kwargs))
                if self._progress is not None:
                    self._progress(done, total)

    def _window(self, pool: ThreadPoolExecutor, window: Sequence[Entry], **kwargs: Any) -> list[str]:
        fresh = [entry.base for entry in window if entry.state == PLANNED]
        copied = [base for base, fine in zip(fresh, pool.map(self._copy(kwargs), fresh), strict=True) if fine]
        self._journal.note(copied, COPIED)
        copied += [entry.base for entry in window if entry.state == COPIED]
        if copied:
            self._mapping._apply_link_services(copied, **kwargs)
            self._journal.note(copied, LINKED)
        linked = copied + [entry.base for entry in window if entry.state == LINKED]
        reset = pool.map(lambda base: self._finish(base, **kwargs), linked)
        finished = [base for base, fine in zip(linked, reset, strict=True) if fine]
        self._journal.note(finished, DONE)
        return [entry.base for entry in window if entry.base not in finished]

    def _copy(self, kwargs: dict[str, Any]) -> Callable[[str], bool]:
        def act(base: str) -> bool:
            if not self._rate.wait(self._stop):
                return False
            try:
                return self._mapping.copy_base(base, **kwargs)
            except OioException as error:
                self._mapping.logger.warning("Base %s could not be moved: %s", base, error)
                return False

        return act

    def _finish(self, base: str, **kwargs: Any) -> bool:
        placed = self._mapping.place_late(base, **kwargs)
        if not placed:
            return placed is None
        return self._mapping.reset_election(base, **kwargs)
