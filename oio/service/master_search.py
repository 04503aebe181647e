"""How the master of a base is found: by asking its peers and judging what they answer. The proxy does it for its
clients, a meta1 service for the bases that it deletes.

A peer that is not master names it; one that cannot be reached, or has no master to name, says nothing about the others.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

from oio.naming import BaseName
from oio.service import deadline, status
from oio.service.rpc import RpcClient
from oio.service.settings import Settings
from oio.service.status import NETWORK_STATUSES, ServiceError

AVOID: Final = 1.0
"""Seconds for which a service that could not be reached is not tried: less than a lease, so that a restart is seen."""
MAX_FAILED: Final = 4096
PATIENCE: Final = 6.0
"""Seconds that a request waits for a base to get a master again."""
LAST_ROUND: Final = 0.3
"""Seconds that must be left for another round: one cut short would hide what the former ones found out."""
FOR_MASTER: Final = 0.7
"""What of its time a read waits for a master; the rest is for any copy that is there."""
MAX_MASTERS: Final = 65536
CALL_TIMEOUT: Final = 8.0
"""Seconds that a service has to answer: a master asks its peers twice at most."""
RETRY: Final = 0.1
_NOT_SENT: Final = (status.REFUSED, status.CONNECT_TIMEOUT, status.NO_ROUTE, status.AVOIDED)


class MasterSearch:
    """Calls of masters, with bounded memories of who is master and of who could not be reached.

    `address_of` gives the address of a service that is known by name; ServiceError when there is none. `moved` is
    called when a peer says that a base is none of its.
    """

    def __init__(
        self,
        address_of: Callable[[str], Awaitable[str]],
        rpc: RpcClient,
        settings: Settings,
        moved: Callable[[], None] = lambda: None,
    ) -> None:
        self.masters: dict[BaseName, tuple[str, float]] = {}
        self.down: dict[str, float] = {}
        self._failed: dict[str, float] = {}
        self._address_of = address_of
        self._rpc = rpc
        self._settings = settings
        self._moved = moved

    async def call(
        self,
        base: BaseName,
        peers: Sequence[str],
        verb: str,
        args: Mapping[str, Any],
        timeout: float,
        repeat: bool,
        stale: bool = False,
    ) -> Any:
        """Have the base's master do something within `timeout` seconds, and wait while there is none.

        Only what may be asked again (`repeat`) is, once its outcome is open. With `stale` any copy answers in the end.
        ServiceError: what the master says, or 503.
        """
        full = {**args, "type": base.type, "name": base.name, "peers": list(peers)}
        end = time.monotonic() + min(FOR_MASTER * timeout if stale else timeout, PATIENCE)
        last = ServiceError(status.AVOIDED, "No service replied")
        told: ServiceError | None = None
        while True:
            queue = self._order(base, peers)
            tried: set[str] = set()
            while queue:
                peer = queue.pop(0)
                if peer in tried:
                    continue
                tried.add(peer)
                try:
                    answer = await self.ask(peer, verb, full, min(timeout, self.patience))
                except ServiceError as error:
                    last = self._judge(base, error, queue, repeat, told)
                    # What a peer says of the base tells more than that others are silent.
                    told = last if last.status in (status.UNAVAILABLE, status.CORRUPT) else told
                else:
                    self._remember(base, peer)
                    return answer
            if time.monotonic() >= end - LAST_ROUND:
                break
            await asyncio.sleep(RETRY)
        if stale:
            for peer in self._order(base, peers):
                try:
                    return await self.ask(peer, verb, {**full, "stale": True}, min(timeout, self.patience))
                except ServiceError as error:
                    last = error if error.status not in NETWORK_STATUSES else last
        if told is not None:
            raise told
        if last.status in NETWORK_STATUSES or last.status == status.REDIRECT:
            text = f"No service replied (last error: ({last.status}) {last.message})"
            raise ServiceError(status.UNAVAILABLE, text) from last
        raise last

    def _judge(
        self,
        base: BaseName,
        error: ServiceError,
        queue: list[str],
        repeat: bool,
        told: ServiceError | None,
    ) -> ServiceError:
        """What an error means for the search: the error when it goes on, raised when it ends."""
        self.masters.pop(base, None)
        if error.status == status.REDIRECT:
            queue.insert(0, error.message)
            return error
        if error.status in NETWORK_STATUSES:
            if not repeat and error.status not in _NOT_SENT:
                known = f"{told.message}; " if told is not None else ""
                text = f"{known}{error.message}; the outcome is open"
                raise ServiceError(status.UNAVAILABLE, text) from error
            return error
        # A peer whose copy is damaged is no master: it gets a new copy from whoever is.
        if error.status in (status.UNAVAILABLE, status.CORRUPT) and (repeat or not error.body):
            return error
        if error.status == status.BASE_NOT_FOUND and error.message.startswith("Base not managed"):
            self._moved()
            return error
        raise error

    async def ask(self, name: str, verb: str, args: Mapping[str, Any], timeout: float) -> Any:
        """Call one service by name; one that could not be reached is avoided for a while."""
        address = await self._address_of(name)
        if self.down.get(address, 0.0) > time.monotonic():
            raise ServiceError(status.AVOIDED, "Request avoided, service marked down")
        patience = deadline.left(timeout)
        try:
            answer = await self._rpc.call(address, verb, args, timeout)
        except ServiceError as error:
            if error.status in NETWORK_STATUSES:
                silent = error.status == status.READ_TIMEOUT
                # One that does not answer is avoided for longer: it costs seconds to find that out again.
                avoid = self._settings.microseconds("proxy.ttl.services.down")
                # When the client was in a hurry, silence only means that others are asked first.
                if not silent or patience >= CALL_TIMEOUT:
                    self.down[address] = time.monotonic() + (avoid if silent else min(avoid, AVOID))
                self._failed[name] = time.monotonic()
                for remembered in (self.down, self._failed):
                    if len(remembered) > MAX_FAILED:
                        remembered.pop(next(iter(remembered)))
            raise
        self._failed.pop(name, None)
        return answer

    @property
    def patience(self) -> float:
        """Seconds that a service has to answer."""
        return min(CALL_TIMEOUT, self._settings.number("proxy.outgoing.timeout.common"))

    def _order(self, base: BaseName, peers: Sequence[str]) -> list[str]:
        """The peers, the remembered master first, those that failed last at the end."""
        master, since = self.masters.get(base, ("", 0.0))
        fresh = time.monotonic() - since < self._settings.microseconds("proxy.ttl.services.master")
        known = master if fresh else ""
        found = dict.fromkeys([*filter(None, (known,)), *peers])
        return sorted(found, key=lambda peer: (self._failed.get(peer, 0.0), peer != known))

    def _remember(self, base: BaseName, peer: str) -> None:
        self.masters.pop(base, None)
        if not self._settings.is_on("proxy.cache.enabled"):
            return
        self.masters[base] = (peer, time.monotonic())
        most = min(MAX_MASTERS, self._settings.number("resolver.cache.srv.max.default"))
        while len(self.masters) > most:
            self.masters.pop(next(iter(self.masters)))
