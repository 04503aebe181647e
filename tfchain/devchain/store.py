"""Blocks and state on disk: one SQLite file, one transaction a block.

A commit is on the disk when it returns (`synchronous=FULL`), so whatever a client was told is there after a power cut
or kill -9.  Every version of every value stays, so that old blocks can be read, until pruned.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from pathlib import Path

from tfchain.codec.header import Header
from tfchain.codec.scale import Reader, blob, compact
from tfchain.devchain.state import Changes

SCHEMA = """
CREATE TABLE IF NOT EXISTS block (
    number INTEGER PRIMARY KEY, hash BLOB NOT NULL UNIQUE, header BLOB NOT NULL, body BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS state (
    key BLOB NOT NULL, block INTEGER NOT NULL, value BLOB, PRIMARY KEY (key, block)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS meta (k TEXT PRIMARY KEY, v TEXT NOT NULL);
"""
FORMAT = "1"


class StoreError(Exception):
    """A database that is not usable; the text says what to do."""


@dataclass(frozen=True, slots=True)
class StoredBlock:
    header: Header
    hash: bytes
    body: tuple[bytes, ...]
    """Encoded extrinsics, the timestamp first."""


class Store:
    """The chain's database.  One thread writes, another may read."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._writer = _open(path)
        self._writer.executescript(SCHEMA)
        self._writer.commit()
        self._reader = _open(path)
        self._check_format()

    def close(self) -> None:
        self._reader.close()
        self._writer.close()

    def commit(self, block: StoredBlock, changes: Changes, meta: dict[str, str] | None = None) -> None:
        """Store a block with its changes, durably, or nothing of it."""
        number = block.header.number
        body = compact(len(block.body)) + b"".join(map(blob, block.body))
        with self._writer:
            self._writer.execute(
                "INSERT INTO block VALUES (?, ?, ?, ?)", (number, block.hash, block.header.encode(), body)
            )
            self._writer.executemany(
                "INSERT INTO state VALUES (?, ?, ?)",
                [(key, number, value) for key, value in changes.items()],
            )
            self._put_meta(meta or {})

    def revert(self, number: int) -> None:
        """Forget all blocks after `number`, as if they had never been."""
        with self._writer:
            self._writer.execute("DELETE FROM block WHERE number > ?", (number,))
            self._writer.execute("DELETE FROM state WHERE block > ?", (number,))

    def set_meta(self, meta: dict[str, str]) -> None:
        with self._writer:
            self._put_meta(meta)

    def _put_meta(self, meta: dict[str, str]) -> None:
        self._writer.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", list(meta.items()))

    def meta(self, key: str) -> str | None:
        row = self._reader.execute("SELECT v FROM meta WHERE k = ?", (key,)).fetchone()
        return None if row is None else str(row[0])

    def head(self) -> StoredBlock | None:
        return self._block("ORDER BY number DESC LIMIT 1", ())

    def block(self, number: int) -> StoredBlock | None:
        return self._block("WHERE number = ?", (number,))

    def block_by_hash(self, block_hash: bytes) -> StoredBlock | None:
        return self._block("WHERE hash = ?", (block_hash,))

    def number_of(self, block_hash: bytes) -> int | None:
        row = self._reader.execute("SELECT number FROM block WHERE hash = ?", (block_hash,)).fetchone()
        return None if row is None else int(row[0])

    def hash_of(self, number: int) -> bytes | None:
        row = self._reader.execute("SELECT hash FROM block WHERE number = ?", (number,)).fetchone()
        return None if row is None else bytes(row[0])

    def value_at(self, key: bytes, number: int) -> bytes | None:
        """The value that a key had after block `number`."""
        row = self._reader.execute(
            "SELECT value FROM state WHERE key = ? AND block <= ? ORDER BY block DESC LIMIT 1", (key, number)
        ).fetchone()
        return None if row is None or row[0] is None else bytes(row[0])

    def keys_at(self, prefix: bytes, after: bytes | None, number: int, count: int) -> list[bytes]:
        """Up to `count` keys with a prefix that had a value after block `number`, in order."""
        start = prefix if after is None or after < prefix else after
        rows = self._reader.execute(
            "SELECT key FROM (SELECT key, value, max(block) FROM state"
            " WHERE key >= ? AND key < ? AND block <= ? GROUP BY key) WHERE value IS NOT NULL AND key > ?"
            " ORDER BY key LIMIT ?",
            (start, _after_prefix(prefix), number, after if after is not None else b"", count),
        )
        return [bytes(row[0]) for row in rows]

    def newest_values(self) -> dict[bytes, bytes]:
        rows = self._reader.execute("SELECT key, value, max(block) FROM state GROUP BY key")
        return {bytes(row[0]): bytes(row[1]) for row in rows if row[1] is not None}

    def oldest_kept(self) -> int:
        """The oldest block whose state is kept."""
        return int(self.meta("oldest") or 0)

    def prune(self, keep_from: int) -> None:
        """Forget values that only blocks before `keep_from` show.  Blocks themselves stay."""
        with self._writer:
            self._writer.execute(
                "DELETE FROM state WHERE block < ?1 AND EXISTS (SELECT 1 FROM state AS newer"
                " WHERE newer.key = state.key AND newer.block > state.block AND newer.block <= ?1)",
                (keep_from,),
            )
            self._put_meta({"oldest": str(keep_from)})

    def _block(self, where: str, arguments: tuple[int | bytes, ...]) -> StoredBlock | None:
        row = self._reader.execute(f"SELECT header, hash, body FROM block {where}", arguments).fetchone()
        if row is None:
            return None
        reader = Reader(bytes(row[2]))
        body = tuple(reader.blob() for _ in range(reader.compact()))
        return StoredBlock(Header.decode(bytes(row[0])), bytes(row[1]), body)

    def _check_format(self) -> None:
        found = self.meta("format")
        if found is None:
            self.set_meta({"format": FORMAT})
        elif found != FORMAT:
            raise StoreError(
                f"{self.path} has format {found}, this program writes {FORMAT}; start with another --state"
            )


def _open(path: Path) -> sqlite3.Connection:
    try:
        connection = sqlite3.connect(path, check_same_thread=False, timeout=10)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
    except sqlite3.Error as error:
        raise StoreError(f"cannot open {path}: {error}; is it a database, and may we write there?") from error
    return connection


def _after_prefix(prefix: bytes) -> bytes:
    """The smallest key after all that begin with `prefix`."""
    trimmed = prefix.rstrip(b"\xff")
    return trimmed[:-1] + bytes((trimmed[-1] + 1,)) if trimmed else b"\xff" * 256
