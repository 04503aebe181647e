"""The rights of one server of a fleet: to write, to be the primary, and others that one server has at a time."""

from __future__ import annotations

import logging
import time

from dynamo.core.master.lease import PRIMARY, WRITE, Held, Leases
from dynamo.dataformat import OperationalError

LOG = logging.getLogger(__name__)

STAND_S = 0.5
"""How often a server looks whether there is a primary, in seconds."""


class Rights:
    """What this server may do now.  It renews its rights, and gives them back."""

    def __init__(self, leases: Leases) -> None:
        self._leases = leases
        self._writing: Held | None = None
        self._primary: Held | None = None
        self._looked = 0.0
        self.is_primary = False

    def take_write_slot(self) -> bool:
        """Be the one of the fleet that writes; False when somebody else is, here or elsewhere."""
        if self._writing is not None:
            return False
        self._writing = self._leases.acquire(WRITE)
        return self._writing is not None

    def give_write_slot(self) -> None:
        """Let others write."""
        held, self._writing = self._writing, None
        if held is not None:
            try:
                self._leases.release(held)
            except OperationalError as error:
                LOG.warning("The right to write was not given back, it ends by itself: %s", error)

    def to_write(self) -> Held:
        """The right to write.  Raises OperationalError when this server does not have it."""
        if self._writing is None:
            raise OperationalError("The right to write has gone; nothing was changed")
        return self._writing

    def check(self, held: Held) -> None:
        """Within a transaction: make sure that a right cannot go before the end.  Raises Fenced when it has gone."""
        self._leases.check(held)

    def keep(self, name: str, held: Held | None) -> Held | None:
        """Keep a right, or take it when nobody has it; None while somebody else has.  Raises OperationalError."""
        if held is not None and self._leases.renew(held):
            return held
        return self._leases.acquire(name)

    def renew(self, may_lead: bool) -> None:
        """Keep the right to write and, for a server that `may_lead`, that of the primary.  Raises OperationalError."""
        if self._writing is not None and not self._leases.renew(self._writing):
            LOG.error("The right to write was lost; what is written now will be refused")
        if may_lead:
            self._primary = self.keep(PRIMARY, self._primary)
        else:
            held, self._primary = self._primary, None
            if held is not None:
                self._leases.release(held)
        self._note()

    def stand(self) -> None:
        """Be the primary when there is none, looked at some times a second.  Raises OperationalError."""
        if self._primary is None and time.monotonic() - self._looked > STAND_S:
            self._primary = self._leases.acquire(PRIMARY)
            self._looked = time.monotonic()
            self._note()

    def _note(self) -> None:
        if self.is_primary != (self._primary is not None):
            self.is_primary = self._primary is not None
            LOG.info("This server is %s", "the primary" if self.is_primary else "no longer the primary")

    def primary(self) -> str | None:
        """The name of the primary."""
        return self._leases.holder(PRIMARY)

    def give_back(self) -> None:
        """Give everything back.  Raises OperationalError."""
        for held in (self._writing, self._primary):
            if held is not None:
                self._leases.release(held)
