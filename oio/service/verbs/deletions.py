"""Deletions of bases that were begun: rows of a meta1 base's `admin`, so that whoever is master completes them.

A deletion is about one base, told from others of its name by the number `born` that all its copies carry.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import apsw

from oio.naming import BaseName
from oio.service import status
from oio.service.quorum import majority
from oio.service.status import ServiceError
from oio.service.verbs import meta1

KEY: Final = "sys.deleting."
NEVER_BORN: Final = 0
"""`born` of a row whose base was never made."""


@dataclass(frozen=True, slots=True)
class Deletion:
    """One row of services that goes, with the base that it leads to; `force`: even if the base is not empty."""

    cid: str
    type: str
    seq: int
    host: str
    born: int
    force: bool = False

    @property
    def key(self) -> str:
        """Name of its row."""
        return f"{KEY}{self.cid}.{self.type}.{self.seq}"

    @property
    def base(self) -> BaseName:
        """The base that is deleted."""
        return BaseName(self.type, f"{self.cid}.{self.seq}")

    @property
    def peers(self) -> list[str]:
        """Services that hold it."""
        return self.host.split(",")

    @property
    def needed(self) -> int:
        """At how many peers it must be gone before the directory forgets it."""
        return majority(len(self.peers))


class Pending(ServiceError):
    """What is asked for must wait until these deletions are completed."""

    def __init__(self, deletions: list[Deletion]) -> None:
        super().__init__(status.UNAVAILABLE, f"{deletions[0].base.name} is being deleted; try again")
        self.deletions = deletions


def pending(db: apsw.Connection, cid: str = "", service_type: str = "") -> list[Deletion]:
    """Deletions that were begun and not completed: of one reference, of one type, or all."""
    rows = db.execute(
        "SELECT k, v FROM admin WHERE k >= ? AND k < ? ORDER BY k", (KEY + cid, KEY + cid + "\x7f")
    )
    found = []
    for key, value in rows:
        owner, kind, seq = str(key).removeprefix(KEY).split(".")
        born, force, host = str(value).split(" ", 2)
        if service_type in ("", kind):
            found.append(Deletion(owner, kind, int(seq), host, int(born), force == "1"))
    return found


def require_none(db: apsw.Connection, cid: str, service_type: str = "") -> None:
    """Pending while a deletion of that reference is on its way."""
    found = pending(db, cid, service_type)
    if found:
        raise Pending(found)


def begin(db: apsw.Connection, deletions: Iterable[Deletion]) -> bool:
    """Note that these rows go; False, and nothing noted, when they are not what is stored any more."""
    wanted = list(deletions)
    for one in wanted:
        require_none(db, one.cid, one.type)
        rows = meta1.services(db, one.cid, one.type)
        if {(row.seq, row.host) for row in rows} != {(other.seq, other.host) for other in wanted}:
            return False
    for one in wanted:
        db.execute(
            "INSERT INTO admin(k, v) VALUES(?, ?)", (one.key, f"{one.born} {int(one.force)} {one.host}")
        )
    return True


def complete(db: apsw.Connection, deletion: Deletion) -> None:
    """Take the row off the reference, unless the deletion was completed before: it may stand for another base now."""
    if _forget(db, deletion):
        db.execute(
            "DELETE FROM services WHERE cid=? AND srvtype=? AND seq=?",
            (bytes.fromhex(deletion.cid), deletion.type, deletion.seq),
        )


def cancel(db: apsw.Connection, deletion: Deletion) -> None:
    """Forget a deletion that turned out not to be allowed: the row stays."""
    _forget(db, deletion)


def _forget(db: apsw.Connection, deletion: Deletion) -> bool:
    if not any(one.born == deletion.born for one in pending(db, deletion.cid) if one.key == deletion.key):
        return False
    db.execute("DELETE FROM admin WHERE k=?", (deletion.key,))
    return True
