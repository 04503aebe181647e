"""The tables of the database `dynamoserver`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dynamo.core.components.impl.database import Database
from dynamo.core.components.impl.sqlite_database import SQLiteDatabase

_TABLES = """
CREATE TABLE IF NOT EXISTS users (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, email TEXT NOT NULL DEFAULT '', dn TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS roles (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS user_authorizations (
  user_id INTEGER NOT NULL, role_id INTEGER NOT NULL, target TEXT NOT NULL,
  PRIMARY KEY (user_id, role_id, target));
CREATE TABLE IF NOT EXISTS authorized_applications (
  user_id INTEGER NOT NULL, title TEXT NOT NULL, checksum BLOB NOT NULL, checksum256 BLOB NOT NULL,
  PRIMARY KEY (user_id, title));
CREATE TABLE IF NOT EXISTS applications (
  id INTEGER PRIMARY KEY AUTOINCREMENT, auth_level TEXT NOT NULL, title TEXT NOT NULL, path TEXT NOT NULL,
  args TEXT NOT NULL, timeout INTEGER NOT NULL, status TEXT NOT NULL, server TEXT NOT NULL DEFAULT '',
  exit_code INTEGER NULL, user_id INTEGER NOT NULL, user_host TEXT NOT NULL, timestamp INTEGER NOT NULL,
  email TEXT NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS applications_by_status ON applications (status);
CREATE TABLE IF NOT EXISTS application_files (
  app_id INTEGER PRIMARY KEY, executable BLOB NOT NULL, checksum256 BLOB NOT NULL,
  FOREIGN KEY (app_id) REFERENCES applications (id) ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS application_sequences (
  id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, user_id INTEGER NOT NULL, restart INTEGER NOT NULL,
  status TEXT NOT NULL, definition TEXT NOT NULL, cursor INTEGER NOT NULL DEFAULT 0,
  app_id INTEGER NOT NULL DEFAULT 0, due INTEGER NOT NULL DEFAULT 0)
"""


def open_master(path: Path) -> Database:
    """The database in a file, which is made when it is missing.  Raises OperationalError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    database = SQLiteDatabase(path)
    path.chmod(0o600)
    for statement in _TABLES.split(";"):
        database.execute(statement)
    return database


@contextmanager
def transaction(database: Database) -> Iterator[None]:
    """Everything within happens at its end, or not at all."""
    database.begin()
    try:
        yield
    except BaseException:
        database.rollback()
        raise
    database.commit()
