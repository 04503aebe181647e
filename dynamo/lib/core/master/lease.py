"""Rights that one server has at a time, and that end by themselves."""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass

from dynamo.core.components.impl.database import Database
from dynamo.dataformat import IntegrityError, OperationalError

LOG = logging.getLogger(__name__)

DEAD_S = 2.0
"""How long a holder shows no life until its rights are taken before they end, in seconds."""

WRITE = "write"
"""To change the inventory."""
PRIMARY = "primary"
"""To look after what a fleet does only once."""


class Fenced(OperationalError):
    """A right was lost to another server; nothing may be written in its name."""


@dataclass(frozen=True, slots=True)
class Held:
    """A right that this server has; the epoch rises with every new holder."""

    name: str
    epoch: int


class Leases:
    """The table of rights.  Time is the database's, so that clocks of servers do not matter.

    A right ends by itself, or sooner when the process of its holder has died, where the database sees that.  Either
    way the epoch rises: a holder that was only away changes nothing any more.
    """

    def __init__(self, database: Database, holder: str, ttl: int) -> None:
        """`ttl` in seconds."""
        self._database = database
        self._holder = holder
        self._ttl = ttl
        self._missed: dict[tuple[str, int], float] = {}

    def acquire(self, name: str) -> Held | None:
        """Take a right that is free, has ended, or is this server's own; None when another server has it."""
        self._database.show_life(self._holder)
        now = self._database.clock
        known = list(self._database.rows("SELECT epoch FROM lease WHERE name = ?", (name,)))
        if not known:
            try:
                self._database.execute(
                    f"INSERT INTO lease (name, holder, epoch, expires) VALUES (?, '', 0, {now} - 1)", (name,)
                )
            except IntegrityError:
                pass  # another server was faster
        changed = self._database.change(
            f"UPDATE lease SET holder = ?, epoch = epoch + 1, expires = {now} + ?"
            f" WHERE name = ? AND (holder = '' OR holder = ? OR expires < {now})",
            (self._holder, self._ttl, name, self._holder),
        )
        if not changed and not self._take_from_the_dead(name):
            return None
        for holder, epoch in self._database.rows("SELECT holder, epoch FROM lease WHERE name = ?", (name,)):
            if holder == self._holder:
                return Held(name, int(epoch))
        return None

    def _take_from_the_dead(self, name: str) -> bool:
        for holder, epoch in list(
            self._database.rows("SELECT holder, epoch FROM lease WHERE name = ?", (name,))
        ):
            missed = self._missed.get((name, epoch))
            self._missed = {key: since for key, since in self._missed.items() if key[0] != name}
            if holder in ("", self._holder) or self._database.shows_life(holder):
                return False
            since = time.monotonic() if missed is None else missed
            if time.monotonic() - since < DEAD_S:
                self._missed[(name, epoch)] = since
                return False
            LOG.warning("Server %s, which had the right to %s, shows no life", holder, name)
            return bool(
                self._database.change(
                    f"UPDATE lease SET holder = ?, epoch = epoch + 1, expires = {self._database.clock} + ?"
                    " WHERE name = ? AND holder = ? AND epoch = ?",
                    (self._holder, self._ttl, name, holder, epoch),
                )
            )
        return False

    def renew(self, held: Held) -> bool:
        """Keep a right; False when it was lost."""
        self._database.show_life(self._holder)
        return bool(
            self._database.change(
                f"UPDATE lease SET expires = {self._database.clock} + ? WHERE name = ? AND holder = ? AND epoch = ?",
                (self._ttl, held.name, self._holder, held.epoch),
            )
        )

    def release(self, held: Held) -> None:
        """Give a right back."""
        self._database.change(
            "UPDATE lease SET holder = '' WHERE name = ? AND holder = ? AND epoch = ?",
            (held.name, self._holder, held.epoch),
        )

    def check(self, held: Held) -> None:
        """Within a transaction: make sure that the right is still here, and cannot go before the end.

        Raises Fenced when it has gone.
        """
        if not self.renew(held):
            raise Fenced(
                f"The right to {held.name} (epoch {held.epoch}) went to another server; nothing was changed"
            )

    def holder(self, name: str) -> str | None:
        """Who has a right now."""
        for (holder,) in self._database.rows(
            f"SELECT holder FROM lease WHERE name = ? AND holder <> '' AND expires >= {self._database.clock}",
            (name,),
        ):
            return str(holder)
        return None
