"""Records of the reverse index in one SQLite file. Blocking; call it from one thread at a time."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import apsw

from oio.service.transaction import writing

MAX_LIMIT: Final = 4096
"""Records in one answer."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS volumes(name TEXT PRIMARY KEY NOT NULL);
CREATE TABLE IF NOT EXISTS records(volume TEXT NOT NULL REFERENCES volumes(name), url TEXT NOT NULL,
  cid TEXT NOT NULL, mtime INTEGER NOT NULL, PRIMARY KEY(volume, url, cid)) WITHOUT ROWID;
"""


class UnknownVolume(Exception):
    """No index was made for this volume."""


@dataclass(frozen=True, slots=True)
class Record:
    """A container on a volume: `url` is `NS/account/name`, `mtime` seconds since 1970."""

    url: str
    cid: str
    mtime: int


class Records:
    """The indexes of any number of volumes, in the file `path`."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._connection = apsw.Connection(str(path))
        self._connection.set_busy_timeout(5000)
        self._connection.pragma("journal_mode", "WAL")
        self._connection.pragma("synchronous", "FULL")
        with writing(self._connection):
            self._connection.execute(_SCHEMA)

    def close(self) -> None:
        """Close the file."""
        self._connection.close()

    def create(self, volume: str) -> None:
        """Make the index of a volume unless it is there."""
        self._connection.execute("INSERT OR IGNORE INTO volumes(name) VALUES(?)", (volume,))

    def push(self, volume: str, record: Record) -> None:
        """Add a record or renew its time; UnknownVolume."""
        self._require(volume)
        self._connection.execute(
            "INSERT OR REPLACE INTO records(volume, url, cid, mtime) VALUES(?,?,?,?)",
            (volume, record.url, record.cid, record.mtime),
        )

    def delete(self, volume: str, url: str, cid: str) -> None:
        """Forget a record, known or not; UnknownVolume."""
        self._require(volume)
        self._connection.execute("DELETE FROM records WHERE volume=? AND url=? AND cid=?", (volume, url, cid))

    def fetch(self, volume: str, prefix: str, marker: str, limit: int) -> tuple[list[Record], bool]:
        """Up to `limit` records whose url begins with `prefix` and follows `marker`, by url; whether there are more.

        UnknownVolume.
        """
        self._require(volume)
        rows = self._connection.execute(
            "SELECT url, cid, mtime FROM records WHERE volume=? AND url>? AND substr(url, 1, ?)=? "
            "ORDER BY url, cid LIMIT ?",
            (volume, marker, len(prefix), prefix, limit + 1),
        )
        found = [Record(str(url), str(cid), int(str(mtime))) for url, cid, mtime in rows]
        return found[:limit], len(found) > limit

    def _require(self, volume: str) -> None:
        row = self._connection.execute("SELECT 1 FROM volumes WHERE name=?", (volume,))
        if next(iter(row), None) is None:
            raise UnknownVolume(volume)
