"""Where services are that are known by a stable name and not by an address: the conscience says."""

from __future__ import annotations

import time
from typing import Final

from oio.naming import is_address
from oio.service import status
from oio.service.conscience.ensemble import Ensemble
from oio.service.status import ServiceError

FRESH: Final = 10.0
"""Seconds for which an address is believed without asking again."""
TIMEOUT: Final = 3.0
MAX_KNOWN: Final = 4096


class Names:
    """Addresses of services by name. Without consciences only addresses are names."""

    def __init__(self, consciences: Ensemble | None = None) -> None:
        self._consciences = consciences
        self._known: dict[str, tuple[str, float]] = {}

    async def address_of(self, name: str) -> str:
        """The address of a service by its id, or the address that `name` is.

        An old answer is better than none while no conscience can be asked. ServiceError 6 when nobody has that name.
        """
        if is_address(name):
            return name
        known, until = self._known.get(name, ("", 0.0))
        if time.monotonic() < until or self._consciences is None:
            found = known
        else:
            try:
                found = str(await self._consciences.call("resolve", {"name": name}, TIMEOUT))
            except ServiceError as error:
                if error.status not in status.NETWORK_STATUSES or not known:
                    raise
                found = known
            self._known.pop(name, None)
            if found:
                self._known[name] = (found, time.monotonic() + FRESH)
                if len(self._known) > MAX_KNOWN:
                    self._known.pop(next(iter(self._known)))
        if not found:
            raise ServiceError(status.NO_ROUTE, f"{name}: no service has this id")
        return found

    def doubt(self, name: str) -> None:
        """Ask again at the next question: it did not answer where it was."""
        if name in self._known:
            self._known[name] = (self._known[name][0], 0.0)
