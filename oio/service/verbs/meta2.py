"""Verbs of meta2: a container as far as the directory needs it."""

from __future__ import annotations

import time
from collections.abc import Mapping

import apsw

from oio.service import status
from oio.service.status import ServiceError
from oio.service.verbs import properties


def create(
    db: apsw.Connection, account: str, name: str, user: Mapping[str, str], system: Mapping[str, str]
) -> bool:
    """Make the container in its base; False, and nothing changed, when it is there."""
    if is_deleted(db):
        raise ServiceError(status.UNAVAILABLE, "the container of that name is being deleted; try again")
    if exists(db):
        return False
    initial = {
        "sys.account": account,
        "sys.user.name": name,
        "sys.status": "0",
        "sys.m2.ctime": str(time.time_ns() // 1000),
        "sys.m2.init": "1",
        "sys.m2.objects": "0",
        "sys.m2.usage": "0",
        "sys.m2.shards": "0",
        "sys.m2.version": "0",
    }
    properties.change(db, user, {**initial, **system})
    return True


def exists(db: apsw.Connection) -> bool:
    """Whether the base holds a container."""
    return "sys.m2.init" in properties.rows(db)


def is_deleted(db: apsw.Connection) -> bool:
    """Whether the base's deletion is decided."""
    return properties.DELETED in properties.rows(db)


def born(db: apsw.Connection) -> int:
    """The number that tells this base from others of its name."""
    return int(str(next(iter(db.execute("SELECT v FROM replica WHERE k='born'")))[0]))


def destroy(db: apsw.Connection, expected: int, force: bool) -> list[str]:
    """Decide that the base goes, if it is the one that was `born` so; its peers. May be repeated.

    From then on it holds no container and takes none. ServiceError 431, 409 as `check_destroy`.
    """
    if born(db) != expected:
        raise ServiceError(status.BASE_NOT_FOUND, "No such container: another one has its name")
    rows = properties.rows(db)
    if properties.DELETED not in rows:
        check_destroy(db, force)
        db.execute("DELETE FROM admin WHERE k='sys.m2.init'")
        db.execute("INSERT INTO admin(k, v) VALUES(?, ?)", (properties.DELETED, str(expected)))
    return sorted(filter(None, rows.get("sys.peers", "").split(",")))


def check_destroy(db: apsw.Connection, force: bool) -> None:
    """ServiceError 431 when there is no container, 409 while it holds objects and not `force`."""
    if not exists(db):
        raise ServiceError(status.BASE_NOT_FOUND, "No such container")
    if not force and next(iter(db.execute("SELECT 1 FROM aliases LIMIT 1")), None) is not None:
        raise ServiceError(status.CONTAINER_EXISTS, "Container not empty")
