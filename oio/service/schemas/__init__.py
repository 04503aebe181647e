"""SQL schemas of the three kinds of bases, readable by any SQLite."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from oio.service.schemas.meta0 import META0
from oio.service.schemas.meta1 import META1
from oio.service.schemas.meta2 import META2


@dataclass(frozen=True, slots=True)
class Schema:
    """Tables of a kind of base: its schema version, the SQL that makes them, their names."""

    version: str
    sql: str
    tables: tuple[str, ...]


ADMIN: Final = "CREATE TABLE admin(k TEXT PRIMARY KEY NOT NULL, v BLOB DEFAULT NULL);"
LOG: Final = """
CREATE TABLE changes(seq INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, changeset BLOB NOT NULL, peers TEXT);
CREATE TABLE replica(k TEXT PRIMARY KEY NOT NULL, v INTEGER NOT NULL);
"""
"""The copy's own log and its counters (promised, committed): local, never part of a changeset."""

SCHEMAS: Final = {
    "meta0": Schema("1.0", META0, ("meta1", "meta1_ref")),
    "meta1": Schema("1.0", META1, ("users", "services", "properties")),
    "meta2": Schema("1.8", META2, ("aliases", "contents", "chunks", "properties", "shard_ranges")),
}


def schema_of(service_type: str) -> Schema:
    """Schema of bases of a service type; a type of another name has the contract of meta2."""
    return SCHEMAS.get(service_type, SCHEMAS["meta2"])
