"""The journal's file: SQLite in WAL mode with full synchronisation, used by one thread of its own.

Commits that arrive while an fsync is running share the next one, each inside a savepoint of its own, so that an
acknowledged commit is always on disk and a burst of them costs few fsyncs.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import queue
import sqlite3
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from zosd.journal.schema import JournalError, prepare

T = TypeVar("T")

MOST_IN_ONE_TRANSACTION = 256

Work = Callable[[sqlite3.Connection], T]


@dataclass(slots=True)
class _Item(Generic[T]):
    work: Work[T]
    loop: asyncio.AbstractEventLoop
    future: asyncio.Future[T]
    applied: Callable[[T], None]
    before_commit: Callable[[], None]
    after_commit: Callable[[], None]


class Store:
    """Runs pieces of work on the connection, each in a transaction that is on disk when `run` returns."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._items: queue.SimpleQueue[_Item[Any] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock: int | None = None

    def open(self) -> None:
        """Open or create the file and start the thread.

        Raises JournalError when another process has it open, or when it cannot be used.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _locked(self.path.with_name(self.path.name + ".lock"))
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        try:
            os.chmod(self.path, 0o600)
            prepare(connection, str(self.path))
        except BaseException:
            connection.close()
            self._unlock()
            raise
        self._thread = threading.Thread(target=self._work, args=(connection,), name="journal", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        return self._items.qsize()

    def check_open(self) -> None:
        """Raises JournalError when nothing could be written."""
        if self._thread is None or not self._thread.is_alive():
            raise JournalError(f"the journal {self.path} is closed")

    async def close(self) -> None:
        """Finish what is queued and close the file."""
        if self._thread is not None:
            self._items.put(None)
            await asyncio.to_thread(self._thread.join, 30)
            self._thread = None
        self._unlock()

    async def run(
        self,
        work: Work[T],
        applied: Callable[[T], None] = lambda result: None,
        before_commit: Callable[[], None] = lambda: None,
        after_commit: Callable[[], None] = lambda: None,
    ) -> T:
        """Run `work` and return its result once the transaction is on disk.

        `applied` is called with the result in the event loop, in the order of the commits and also when the caller
        was cancelled meanwhile (which does not undo the work).  The other two are called in the journal's thread
        around the commit.  Raises JournalError when the file cannot be written (a full disk); the next try may work.
        """
        self.check_open()
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._items.put(_Item(work, loop, future, applied, before_commit, after_commit))
        return await asyncio.shield(future)

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def _work(self, connection: sqlite3.Connection) -> None:
        open_for_work = True
        while open_for_work:
            batch: list[_Item[Any]] = []
            item = self._items.get()
            while item is not None:
                batch.append(item)
                if len(batch) == MOST_IN_ONE_TRANSACTION:
                    break
                try:
                    item = self._items.get_nowait()
                except queue.Empty:
                    break
            open_for_work = item is not None
            if batch:
                self._transaction(connection, batch)
        connection.close()

    def _transaction(self, connection: sqlite3.Connection, batch: list[_Item[Any]]) -> None:
        answers: list[tuple[_Item[Any], Any, BaseException | None]] = []
        try:
            connection.execute("BEGIN IMMEDIATE")
            for item in batch:
                answers.append(_within_savepoint(connection, item))
            for item, _, failure in answers:
                if failure is None:
                    item.before_commit()
            connection.execute("COMMIT")
        except BaseException as error:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            failed = JournalError(f"the journal could not be written: {error}")
            failed.__cause__ = error
            answers = [(item, None, failed) for item in batch]
        for item, result, failure in answers:
            if failure is None:
                item.after_commit()
            item.loop.call_soon_threadsafe(_settle, item, result, failure)


def _within_savepoint(
    connection: sqlite3.Connection, item: _Item[Any]
) -> tuple[_Item[Any], Any, BaseException | None]:
    connection.execute("SAVEPOINT item")
    try:
        result = item.work(connection)
    except sqlite3.OperationalError as error:
        # A full disk shows here as well as at the commit; SQLite may have ended the whole transaction by itself.
        if not connection.in_transaction:
            raise
        connection.execute("ROLLBACK TO item")
        connection.execute("RELEASE item")
        failed = JournalError(f"the journal could not be written: {error}")
        failed.__cause__ = error
        return item, None, failed
    except Exception as error:
        connection.execute("ROLLBACK TO item")
        connection.execute("RELEASE item")
        return item, None, error
    connection.execute("RELEASE item")
    return item, result, None


def _settle(item: _Item[Any], result: Any, failure: BaseException | None) -> None:
    if failure is None:
        try:
            item.applied(result)
        except Exception as error:
            failure = error
    if item.future.done():
        return
    if failure is None:
        item.future.set_result(result)
    else:
        item.future.set_exception(failure)


def _locked(path: Path) -> int:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise JournalError(f"{path.parent} is in use by another zosd; end that one first") from None
    return descriptor
