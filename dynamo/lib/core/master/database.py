"""The tables of the database `dynamoserver`."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dynamo.core.cluster.group_database import GroupDatabase
from dynamo.core.components.impl.database import Database
from dynamo.core.components.impl.mysql_database import MySQLDatabase
from dynamo.core.components.impl.mysqlstore import TEXTS as MYSQL_TEXTS
from dynamo.core.components.impl.sqlite_database import SQLiteDatabase
from dynamo.core.components.impl.sqlitestore import TEXTS as SQLITE_TEXTS
from dynamo.core.registry.tables import TABLES as REGISTRY_TABLES
from dynamo.core.serverconfig import MasterConfig
from dynamo.dataformat import OperationalError

_TABLES = """
CREATE TABLE IF NOT EXISTS users (
  id {key}, name {text64} NOT NULL UNIQUE, email {text256} NOT NULL DEFAULT '', dn {text1024} NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS roles (id {key}, name {text64} NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS user_authorizations (
  user_id {int} NOT NULL, role_id {int} NOT NULL, target {text16} NOT NULL,
  PRIMARY KEY (user_id, role_id, target));
CREATE TABLE IF NOT EXISTS authorized_applications (
  user_id {int} NOT NULL, title {text64} NOT NULL, checksum {bytes16} NOT NULL, checksum256 {bytes32} NOT NULL,
  PRIMARY KEY (user_id, title));
CREATE TABLE IF NOT EXISTS applications (
  id {rising}, auth_level {text16} NOT NULL, title {text64} NOT NULL, path {text1024} NOT NULL,
  args {text512} NOT NULL, timeout {int} NOT NULL, status {text16} NOT NULL, server {text64} NOT NULL DEFAULT '',
  exit_code {int} NULL, user_id {int} NOT NULL, user_host {text64} NOT NULL, timestamp {int} NOT NULL,
  email {text256} NOT NULL DEFAULT '', kill_reason {text256} NOT NULL DEFAULT '');
CREATE INDEX IF NOT EXISTS applications_by_status ON applications (status);
CREATE TABLE IF NOT EXISTS application_files (
  app_id {int} PRIMARY KEY, executable {blob} NOT NULL, checksum256 {bytes32} NOT NULL,
  FOREIGN KEY (app_id) REFERENCES applications (id) ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS application_output (
  app_id {int} NOT NULL, stream {int} NOT NULL, position {int} NOT NULL, data {blob} NOT NULL,
  PRIMARY KEY (app_id, stream, position),
  FOREIGN KEY (app_id) REFERENCES applications (id) ON DELETE CASCADE);
CREATE TABLE IF NOT EXISTS application_sequences (
  id {key}, name {text64} NOT NULL UNIQUE, user_id {int} NOT NULL, restart {int} NOT NULL,
  status {text16} NOT NULL, definition {blob} NOT NULL, cursor_line {int} NOT NULL DEFAULT 0,
  app_id {int} NOT NULL DEFAULT 0, due {int} NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS servers (
  hostname {text64} PRIMARY KEY, last_heartbeat {int} NOT NULL, status {text16} NOT NULL,
  store_module {text256} NOT NULL, store_config {text2048} NOT NULL, store_version {int} NOT NULL,
  board_module {text256} NOT NULL DEFAULT '', board_config {text2048} NOT NULL DEFAULT '');
CREATE TABLE IF NOT EXISTS server_orders (hostname {text64} PRIMARY KEY, word {text16} NOT NULL);
CREATE TABLE IF NOT EXISTS lease (
  name {text16} PRIMARY KEY, holder {text64} NOT NULL, epoch {int} NOT NULL, expires {int} NOT NULL);
CREATE TABLE IF NOT EXISTS change_batches (
  seq {key}, epoch {int} NOT NULL, writer {text64} NOT NULL, app_id {int} NOT NULL, committed {int} NOT NULL);
CREATE TABLE IF NOT EXISTS changes (
  seq {int} NOT NULL, n {int} NOT NULL, cmd {text16} NOT NULL, obj {blob} NOT NULL, PRIMARY KEY (seq, n),
  FOREIGN KEY (seq) REFERENCES change_batches (seq) ON DELETE CASCADE)
"""

_LATER = (
    ("servers", "board_module", "{text256} NOT NULL DEFAULT ''"),
    ("servers", "board_config", "{text2048} NOT NULL DEFAULT ''"),
)
"""Columns that tables of older versions lack."""

_SQLITE = {
    "key": "INTEGER PRIMARY KEY",
    "rising": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "int": "INTEGER",
    "blob": "BLOB",
    "bytes16": "BLOB",
    "bytes32": "BLOB",
}
_MYSQL = {
    "key": "BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY",
    "rising": "BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY",
    "int": "BIGINT",
    "blob": "LONGBLOB",
    "bytes16": "BINARY(16)",
    "bytes32": "BINARY(32)",
}


def open_master(config: MasterConfig) -> Database:
    """The database that a configuration names; tables that are missing are made.

    Raises OperationalError when it cannot be reached.
    """
    if config.path is not None:
        path = Path(config.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        sqlite = SQLiteDatabase(path)
        path.chmod(0o600)
        return _with_tables(sqlite, {**_SQLITE, **SQLITE_TEXTS}, "")
    if config.replicas is not None:
        return _with_tables(GroupDatabase(config.replicas), {**_MYSQL, **MYSQL_TEXTS}, " ENGINE=InnoDB")
    return _with_tables(MySQLDatabase(config.db_params or {}), {**_MYSQL, **MYSQL_TEXTS}, " ENGINE=InnoDB")


def _with_tables(database: Database, types: dict[str, str], suffix: str) -> Database:
    for statement in (_TABLES + ";" + REGISTRY_TABLES).format(**types).split(";"):
        if statement.strip():
            database.execute(statement.strip() + (suffix if "CREATE TABLE" in statement else ""))
    for table, column, kind in _LATER:
        _ensure_column(database, table, column, kind.format(**types))
    return database


def _ensure_column(database: Database, table: str, column: str, kind: str) -> None:
    try:
        list(database.rows(f"SELECT {column} FROM {table} WHERE 1 = 0"))
    except OperationalError:
        # When the database is away instead, this says so once more.
        database.execute(f"ALTER TABLE {table} ADD COLUMN {column} {kind}")


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
