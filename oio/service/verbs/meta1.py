"""Verbs of meta1: references, the services linked to them, their properties."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final

import apsw

from oio.service import status
from oio.service.status import ServiceError

MAX_PROPERTIES: Final = 1024
"""Properties of one reference."""
MAX_SERVICES: Final = 256
"""Rows of services of one reference."""


class Policy(Enum):
    """What `renew` does with the services that a reference has."""

    NONE = "NONE"
    KEEP = "KEEP"
    APPEND = "APPEND"
    REPLACE = "REPLACE"


@dataclass(frozen=True, slots=True)
class Service:
    """A row of services: `host` is a comma list of its replicas."""

    seq: int
    type: str
    host: str
    args: str = ""

    def document(self) -> dict[str, str | int]:
        """The service description as it stands on the wire."""
        return {"seq": self.seq, "type": self.type, "host": self.host, "args": self.args}

    def each(self) -> list[Service]:
        """One description for each replica."""
        return [Service(self.seq, self.type, host, self.args) for host in self.host.split(",")]


def create(db: apsw.Connection, cid: str, account: str, name: str, properties: Mapping[str, str]) -> bool:
    """Make a reference; False, and nothing changed, when it is there."""
    if _user(db, cid) is not None:
        return False
    db.execute("INSERT INTO users(cid, account, user) VALUES(?, ?, ?)", (_key(cid), account, name))
    set_properties(db, cid, properties, flush=False)
    return True


def owner(db: apsw.Connection, cid: str, prefix: str = "") -> tuple[str, str]:
    """Account and name of a reference; ServiceError 406 when it is not there."""
    found = _user(db, cid)
    if found is None:
        raise ServiceError(status.USER_NOT_FOUND, f"{prefix}no such user")
    return found


def destroy(db: apsw.Connection, cid: str, force: bool) -> None:
    """Delete a reference; ServiceError 406, or 407 while something hangs on it and not `force`."""
    owner(db, cid, "Query error: ")
    if not force:
        if services(db, cid):
            raise ServiceError(status.USER_IN_USE, "Query error: User still linked to services")
        if properties(db, cid, ()):
            raise ServiceError(status.USER_IN_USE, "Query error: User still has properties")
    for table in ("services", "properties", "users"):
        db.execute(f"DELETE FROM {table} WHERE cid=?", (_key(cid),))


def services(db: apsw.Connection, cid: str, service_type: str = "") -> list[Service]:
    """Services linked to a reference, of one type or of all, oldest first."""
    rows = db.execute(
        "SELECT seq, srvtype, url, args FROM services WHERE cid=? AND (?='' OR srvtype=?) ORDER BY srvtype, seq",
        (_key(cid), service_type, service_type),
    )
    return [Service(int(str(seq)), str(kind), str(url), str(args or "")) for seq, kind, url, args in rows]


def linked_to(
    db: apsw.Connection, service_type: str, host: str, after: str, limit: int
) -> list[tuple[str, str, str]]:
    """References to which a service is linked, in the order of their container ids: id, account, name."""
    rows = db.execute(
        "SELECT hex(users.cid), users.account, users.user FROM users WHERE users.cid > ? AND EXISTS ("
        "SELECT 1 FROM services WHERE services.cid=users.cid AND srvtype=? "
        "AND instr(',' || url || ',', ',' || ? || ',') > 0) ORDER BY users.cid LIMIT ?",
        (_key(after), service_type, host, limit),
    )
    return [(str(cid), str(account), str(name)) for cid, account, name in rows]


def link(
    db: apsw.Connection, cid: str, service_type: str, candidates: Sequence[str], up: Collection[str]
) -> list[Service]:
    """The services of a type; `candidates` become one new row when none of those linked is `up`.

    An empty `candidates` only asks. ServiceError 406.
    """
    owner(db, cid)
    linked = services(db, cid, service_type)
    if not candidates or any(one.host in up for row in linked for one in row.each()):
        return linked
    return [_add(db, cid, service_type, candidates)]


def renew(
    db: apsw.Connection, cid: str, service_type: str, candidates: Sequence[str], policy: Policy
) -> list[Service]:
    """Give a reference another service, as the policy of the type says; ServiceError 406."""
    owner(db, cid)
    linked = services(db, cid, service_type)
    if linked and (policy in (Policy.KEEP, Policy.NONE) or not candidates):
        return linked
    if policy is Policy.REPLACE:
        db.execute("DELETE FROM services WHERE cid=? AND srvtype=?", (_key(cid), service_type))
    seq = max((row.seq for row in linked), default=0) + 1
    return [_add(db, cid, service_type, candidates, seq)]


def unlink(db: apsw.Connection, cid: str, service_type: str) -> None:
    """Take all services of a type off a reference; ServiceError 406."""
    owner(db, cid)
    db.execute("DELETE FROM services WHERE cid=? AND srvtype=?", (_key(cid), service_type))


def force(db: apsw.Connection, cid: str, service: Service, replace: bool) -> None:
    """Write one row; ServiceError 406, 455 when its number is taken and not `replace`."""
    owner(db, cid)
    rows = services(db, cid)
    if not replace and any((row.type, row.seq) == (service.type, service.seq) for row in rows):
        raise ServiceError(
            status.ALREADY_LINKED,
            "(SQLITE_CONSTRAINT) UNIQUE constraint failed: services.cid, services.srvtype, services.seq",
        )
    if len(rows) >= MAX_SERVICES:
        raise ServiceError(status.NOT_ALLOWED, f"a reference has at most {MAX_SERVICES} rows of services")
    db.execute(
        "INSERT INTO services(cid, srvtype, seq, url, args) VALUES(?, ?, ?, ?, ?) "
        "ON CONFLICT(cid, srvtype, seq) DO UPDATE SET url=excluded.url, args=excluded.args",
        (_key(cid), service.type, service.seq, service.host, service.args),
    )


def relink(
    db: apsw.Connection, cid: str, kept: Service, replaced: Service, chosen: Sequence[str]
) -> list[Service]:
    """Put `chosen` in place of the hosts `replaced`, beside those `kept`.

    ServiceError 406, 407 when kept and replaced together are not what is stored.
    """
    owner(db, cid)
    stored = next((row for row in services(db, cid, kept.type) if row.seq == kept.seq), None)
    staying, going = _hosts(kept.host), _hosts(replaced.host)
    if stored is None or set(staying) | set(going) != set(_hosts(stored.host)):
        raise ServiceError(status.USER_IN_USE, "services changed")
    row = Service(kept.seq, kept.type, ",".join([*staying, *chosen]), stored.args)
    force(db, cid, row, replace=True)
    return [row]


def properties(db: apsw.Connection, cid: str, names: Sequence[str]) -> dict[str, str]:
    """Properties of a reference: those named, or all; ServiceError 406."""
    owner(db, cid)
    rows = db.execute("SELECT name, value FROM properties WHERE cid=? ORDER BY name", (_key(cid),))
    return {str(name): str(value) for name, value in rows if not names or name in names}


def set_properties(db: apsw.Connection, cid: str, values: Mapping[str, str], flush: bool) -> None:
    """Set properties, an empty value deletes; `flush` drops all others first. ServiceError 406, 403 for too many."""
    owner(db, cid)
    if flush:
        db.execute("DELETE FROM properties WHERE cid=?", (_key(cid),))
    for name, value in values.items():
        if value:
            db.execute(
                "INSERT INTO properties(cid, name, value) VALUES(?, ?, ?) "
                "ON CONFLICT(cid, name) DO UPDATE SET value=excluded.value",
                (_key(cid), name, value),
            )
        else:
            db.execute("DELETE FROM properties WHERE cid=? AND name=?", (_key(cid), name))
    if len(properties(db, cid, ())) > MAX_PROPERTIES:
        raise ServiceError(status.NOT_ALLOWED, f"a reference has at most {MAX_PROPERTIES} properties")


def delete_properties(db: apsw.Connection, cid: str, names: Sequence[str]) -> None:
    """Delete the properties named, or all; ServiceError 406."""
    for name in properties(db, cid, names):
        db.execute("DELETE FROM properties WHERE cid=? AND name=?", (_key(cid), name))


def _add(
    db: apsw.Connection, cid: str, service_type: str, hosts: Sequence[str], seq: int | None = None
) -> Service:
    if seq is None:
        seq = max((row.seq for row in services(db, cid, service_type)), default=0) + 1
    row = Service(seq, service_type, ",".join(hosts))
    force(db, cid, row, replace=False)
    return row


def _hosts(text: str) -> list[str]:
    return [host for host in text.split(",") if host]


def _user(db: apsw.Connection, cid: str) -> tuple[str, str] | None:
    row = next(iter(db.execute("SELECT account, user FROM users WHERE cid=?", (_key(cid),))), None)
    return None if row is None else (str(row[0]), str(row[1]))


def _key(cid: str) -> bytes:
    return bytes.fromhex(cid)
