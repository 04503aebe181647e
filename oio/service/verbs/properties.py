"""Properties of any base: rows of its table `admin`, those of its users under `user.`."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Final

import apsw

from oio.service import status
from oio.service.status import ServiceError

USER: Final = "user."
DELETED: Final = "sys.m2.deleted"
"""Row of a base whose deletion is decided; its value is the number that tells the base from others of its name."""
STATUS: Final = "sys.status"
"""Row that says whether a base is enabled (`0`, or no row), takes no changes (`1`), or nothing at all (`2`)."""
_STATES: Final = {"1": "frozen", "2": "disabled"}
_OWN: Final = ("schema_version", "version:main.", "sys.name", "sys.type", "sys.deleting.", DELETED)
"""Rows that nobody sets from outside."""


def rows(db: apsw.Connection) -> dict[str, str]:
    """All rows of `admin`."""
    return {
        str(key): value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
        for key, value in db.execute("SELECT k, v FROM admin ORDER BY k")
    }


def require_enabled(db: apsw.Connection, writing: bool) -> None:
    """ServiceError 436 when the base is frozen and something is to be written, or when it is disabled."""
    found = db.execute("SELECT v FROM admin WHERE k=?", (STATUS,)).fetchone()
    state = _STATES.get(str(found[0])) if found is not None else None
    if state is not None and (writing or state != "frozen"):
        raise ServiceError(status.FROZEN, f"the base is {state}")


def split(stored: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Properties of users (without `user.`) and of the system."""
    user = {key.removeprefix(USER): value for key, value in stored.items() if key.startswith(USER)}
    return user, {key: value for key, value in stored.items() if not key.startswith(USER)}


def change(db: apsw.Connection, user: Mapping[str, str], system: Mapping[str, str]) -> None:
    """Set rows; an empty value deletes. Rows that belong to the base itself are left alone."""
    wanted = {f"{USER}{key}": value for key, value in user.items()}
    wanted |= {key: value for key, value in system.items() if not key.startswith(_OWN)}
    for key, value in wanted.items():
        if value:
            db.execute(
                "INSERT INTO admin(k, v) VALUES(?, ?) ON CONFLICT(k) DO UPDATE SET v=excluded.v", (key, value)
            )
        else:
            db.execute("DELETE FROM admin WHERE k=?", (key,))


def delete(db: apsw.Connection, names: Sequence[str]) -> None:
    """Delete properties of users: those named, or all."""
    user, _ = split(rows(db))
    for name in names or user:
        db.execute("DELETE FROM admin WHERE k=?", (f"{USER}{name}",))


def note_vacuum(db: apsw.Connection) -> None:
    """Write down that the base was vacuumed now (seconds since 1970)."""
    change(db, {}, {"sys.last_vacuum": str(int(time.time()))})
