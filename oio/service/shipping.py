"""Bringing a master's log to the other copies: batches, what a copy lacks, whole copies where the log is too short."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any, Final

from oio.service import quorum, status, wire
from oio.service.base import Base
from oio.service.copy import Copy
from oio.service.mastership import MAX_BATCH, catch_up
from oio.service.replica import Entry, Facts, Prepare
from oio.service.status import ServiceError

PEER_TIMEOUT: Final = 3.0
"""Seconds that a peer has for small things."""
MAX_IN_FLIGHT: Final = 64
"""Batches on their way to one peer; a peer that takes none any more is brought up later."""


class Shipper:
    """Ways from one copy to the others. `lagging` are peers that do not have everything that is committed, `born` is
    what tells the base from others of its name."""

    def __init__(self, copy: Copy) -> None:
        self.lagging: set[str] = set()
        self.born = 0
        self._copy = copy
        self._in_flight: Counter[str] = Counter()
        self._untold: dict[str, int] = {}
        self._announcing: dict[str, asyncio.Task[None]] = {}

    async def ship(self, peer: str, message: Prepare) -> ServiceError | None:
        """Have a peer write a batch to its log, and all that it lacks before; the error when it could not."""
        if self._in_flight[peer] >= MAX_IN_FLIGHT:
            return ServiceError(status.AVOIDED, f"{peer} is {MAX_IN_FLIGHT} changes behind")
        self._in_flight[peer] += 1
        try:
            await self._deliver(peer, message)
        except ServiceError as error:
            self.lagging.add(peer)
            return error
        finally:
            self._in_flight[peer] -= 1
            if not self._in_flight[peer]:
                del self._in_flight[peer]
        return None

    def announce(self, peer: str, token: int) -> None:
        """Tell a peer how far the log is committed now; one telling at a time."""
        self.lagging.add(peer)
        self._untold[peer] = token
        running = self._announcing.get(peer)
        if running is None or running.done():
            self._announcing[peer] = self._copy.node.spawn(self._announce(peer), apart=True)

    async def _announce(self, peer: str) -> None:
        while peer in self._untold:
            token = self._untold.pop(peer)
            try:
                committed, epoch = await self._copy.on_base(_commit_point)
            except ServiceError:
                return  # The own copy is gone: whoever becomes master tells the others.
            if await self.ship(peer, Prepare(token, committed, epoch, (), committed)) is not None:
                return
        self.lagging.discard(peer)

    async def _deliver(self, peer: str, message: Prepare) -> None:
        last = message.entries[-1].seq if message.entries else message.prev_seq
        try:
            taken, there = await self._send(peer, message)
        except ServiceError as error:
            if error.status != status.BASE_NOT_FOUND:
                raise
            taken, there = False, await self._install(peer, message.token)
        while not taken or there.last_seq < last:
            batch = await self._lacking(message.token, there)
            if batch is None:
                there = await self._install(peer, message.token)
                batch = await self._lacking(message.token, there)
                if batch is None:
                    if there.committed >= last:
                        return
                    raise ServiceError(status.UNAVAILABLE, f"{peer} cannot be brought up to entry {last}")
            before = there
            taken, there = await self._send(peer, batch)
            if not taken or (there.committed, there.last_seq) == (before.committed, before.last_seq):
                raise ServiceError(status.UNAVAILABLE, f"{peer} does not take entry {before.committed + 1}")
            if batch.entries[-1].seq >= last:
                return

    async def _send(self, peer: str, message: Prepare) -> tuple[bool, Facts]:
        """Whether the batch was taken, and where the peer's log stands then."""
        args = self._copy.args(**wire.pack_prepare(message), born=self.born)
        limit = self._copy.node.settings.number("sqliterepo.outgoing.timeout.req.replicate")
        answer: dict[str, Any] = await self._copy.node.call(peer, "peer_prepare", args, limit)
        return bool(answer["taken"]), wire.unpack_facts(answer["facts"])

    async def _lacking(self, token: int, there: Facts) -> Prepare | None:
        def read(base: Base) -> tuple[list[Entry], int]:
            promised = base.facts().promised
            if promised > token:
                raise ServiceError(status.IS_MASTER, f"a master with token {promised} has taken over")
            return base.entries(there.committed + 1, there.committed + MAX_BATCH), base.facts().committed

        entries, committed = await self._copy.on_base(read)
        return catch_up(token, there, entries, committed)

    async def _install(self, peer: str, token: int) -> Facts:
        if peer not in quorum.everyone(await self._copy.on_base(lambda base: base.configs())):
            raise ServiceError(status.BASE_NOT_FOUND, f"{peer} is no peer any more and has no copy")
        data = await self._copy.dump(with_tail=False)
        args = self._copy.args(data=data, token=token)
        limit = self._copy.node.settings.number("sqliterepo.outgoing.timeout.req.resync")
        return wire.unpack_facts(await self._copy.node.call(peer, "peer_install", args, limit))


def _commit_point(base: Base) -> tuple[int, int]:
    committed = base.facts().committed
    return committed, base.epoch_at(committed) or 0
