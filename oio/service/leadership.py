"""The leases that a process holds: one for a set of peers, renewed together, given up in time.

A lease counts as valid only until a quarter of its time is left, so that a master whose renewals fail, or whose
process stood still, stops before another can start.
"""

from __future__ import annotations

import asyncio
import logging
import random
from typing import Final

from oio.service.lease import Lease, LeaseError, LeaseStore
from oio.service.lease.base import address_of
from oio.service.lease.sqlite import clock

log = logging.getLogger(__name__)

LOOK_AGAIN: Final = 0.25
"""Seconds for which another's lease is believed without asking the store."""
HOLD_OFF: Final = 0.5
"""Seconds for which a peer that was told to leave lets others go first."""

MAX_REMEMBERED: Final = 4096
"""Peer sets of which is remembered who leads them, or that they were left."""


class Leadership:
    """Leases of one service address. `ttl` is in seconds."""

    def __init__(self, store: LeaseStore, holder: str, ttl: float) -> None:
        self.store = store
        self.holder = holder
        self.address = address_of(holder)
        self.ttl = ttl
        self.floor = 0
        self._held: dict[str, Lease] = {}
        self._others: dict[str, tuple[Lease, float]] = {}
        self._left: dict[str, float] = {}
        self._lock = asyncio.Lock()

    async def acquire(self, key: str) -> Lease:
        """The lease of `key` as it stands, taken if it is free. Raises LeaseError."""
        mine = self._held.get(key)
        if mine is not None and self.valid(mine):
            return mine
        seen = self._seen(key)
        if seen is not None:
            return seen
        wait = self._left.pop(key, 0.0) - clock()
        if wait > 0:
            await asyncio.sleep(wait)
        async with self._lock:
            mine = self._held.get(key)
            if mine is not None and self.valid(mine):
                return mine
            # Somebody else may have asked for all who waited.
            seen = self._seen(key)
            if seen is not None:
                return seen
            lease = await self.store.acquire(key, self.holder, self.ttl, self.floor)
            if lease.holder == self.holder:
                renewed = await self.store.renew(lease, self.ttl)
                if renewed is not None:
                    self._held[key] = lease = renewed
            else:
                self._held.pop(key, None)
                self._others[key] = (lease, clock() + LOOK_AGAIN)
                if len(self._others) > MAX_REMEMBERED:
                    self._others.pop(next(iter(self._others)))
        return lease

    def _seen(self, key: str) -> Lease | None:
        """Another's lease that was looked at just now."""
        lease, until = self._others.get(key, (None, 0.0))
        return lease if lease is not None and clock() < min(until, lease.expires) else None

    def is_mine(self, lease: Lease) -> bool:
        """Whether this process holds it."""
        return lease.holder == self.holder

    def valid(self, lease: Lease) -> bool:
        """Whether a change may still be committed under this lease."""
        held = self._held.get(lease.key)
        return held is not None and held.token == lease.token and clock() < held.expires - self.ttl / 4

    def holds(self, key: str) -> bool:
        """Whether this process is master for that set of peers."""
        held = self._held.get(key)
        return held is not None and self.valid(held)

    def raise_floor(self, token: int) -> None:
        """Ask for tokens above this one from now on: a peer has promised it to somebody."""
        self.floor = max(self.floor, token)

    async def leave(self, key: str) -> None:
        """Give a lease up, if it is held, and let others go first for a moment."""
        self._others.pop(key, None)
        lease = self._held.pop(key, None)
        if lease is None:
            return
        self._left[key] = clock() + HOLD_OFF
        if len(self._left) > MAX_REMEMBERED:
            self._left.pop(next(iter(self._left)))
        await self.store.release(lease)

    async def leave_all(self) -> None:
        """Give up every lease, at the end; those that cannot be given up expire."""
        held, self._held = self._held, {}
        for lease in held.values():
            try:
                await self.store.release(lease)
            except LeaseError as error:
                log.warning("lease %s is left to expire: %s", lease.key, error)
                return

    async def run(self) -> None:
        """Renew all leases three times in their time, until cancelled; the pause is jittered against storms."""
        while True:
            await asyncio.sleep(self.ttl / 3 * random.uniform(0.8, 1.0))
            for key, lease in list(self._held.items()):
                try:
                    renewed = await self.store.renew(lease, self.ttl)
                except LeaseError as error:
                    log.warning("lease %s is not renewed: %s", key, error)
                    break
                if self._held.get(key) is not lease:
                    continue
                if renewed is None:
                    del self._held[key]
                else:
                    self._held[key] = renewed
