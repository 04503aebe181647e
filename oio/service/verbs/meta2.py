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


def check_destroy(db: apsw.Connection, force: bool) -> None:
    """ServiceError 431 when there is no container, 409 while it holds objects and not `force`."""
    if not exists(db):
        raise ServiceError(status.BASE_NOT_FOUND, "No such container")
    if not force and next(iter(db.execute("SELECT 1 FROM aliases LIMIT 1")), None) is not None:
        raise ServiceError(status.CONTAINER_EXISTS, "Container not empty")
