"""The tables of the journal file and its version."""

from __future__ import annotations

import sqlite3

VERSION = 1

_TABLES = """
CREATE TABLE note (
    name TEXT PRIMARY KEY,
    value BLOB NOT NULL
) WITHOUT ROWID;

CREATE TABLE deployment (
    twin INTEGER NOT NULL,
    contract INTEGER NOT NULL,
    phase TEXT NOT NULL,
    header BLOB NOT NULL,          -- the deployment's JSON without workloads
    hash TEXT NOT NULL,            -- hex of the accepted challenge hash
    accepted REAL NOT NULL,        -- seconds since 1970
    paused INTEGER NOT NULL,
    next_update BLOB,              -- JSON of an update whose contract is not checked yet
    next_received REAL,
    job TEXT,                      -- what has to be done; NULL when the goal is reached
    job_since REAL,
    PRIMARY KEY (twin, contract)
) WITHOUT ROWID;

CREATE TABLE workload (
    twin INTEGER NOT NULL,
    contract INTEGER NOT NULL,
    name TEXT NOT NULL,
    position INTEGER NOT NULL,
    definition BLOB NOT NULL,      -- the workload's JSON with its current result
    newer BLOB,                    -- the version that an update asks for
    leaving TEXT NOT NULL,
    half_changed INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    PRIMARY KEY (twin, contract, name),
    FOREIGN KEY (twin, contract) REFERENCES deployment ON DELETE CASCADE
) WITHOUT ROWID;

CREATE TABLE history (
    twin INTEGER NOT NULL,
    contract INTEGER NOT NULL,
    seq INTEGER NOT NULL,          -- per deployment, from 1
    workload BLOB NOT NULL,        -- the workload's JSON with the result of that moment
    PRIMARY KEY (twin, contract, seq),
    FOREIGN KEY (twin, contract) REFERENCES deployment ON DELETE CASCADE
) WITHOUT ROWID;
"""


class JournalError(Exception):
    """The journal cannot be used; it is left as it is."""


def prepare(connection: sqlite3.Connection, path: str) -> None:
    """Set the durability that we promise and bring the tables to the present version.

    Raises JournalError for a file that a later version wrote, or that is no journal.
    """
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        found = connection.execute("PRAGMA user_version").fetchone()[0]
    except sqlite3.DatabaseError as error:
        raise JournalError(
            f"{path} is not a usable journal ({error}); it was left untouched: restore it from a copy, "
            "or move it away to start with an empty one"
        ) from error
    if found > VERSION:
        raise JournalError(
            f"{path} has schema version {found}, this zosd knows up to {VERSION}: install the newer zosd again"
        )
    if found == 0:
        connection.executescript(f"BEGIN IMMEDIATE;{_TABLES}PRAGMA user_version = {VERSION};COMMIT;")
