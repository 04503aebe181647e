"""One base as one of its peers serves it: leading, writing, reading.

A change goes this way: recorded as a changeset, written to the own log, prepared by a majority of every peer set in
force, the lease checked once more, committed, answered. Slaves apply it with the next message.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar

import apsw

from oio.naming import BaseName, peer_set_key
from oio.service import deadline, quorum, replica, status, succession
from oio.service.base import Base
from oio.service.copy import Copy
from oio.service.election import Election, Event, State
from oio.service.lease import Lease, LeaseError
from oio.service.mastership import Mastership
from oio.service.node import Node
from oio.service.quorum import Verdict
from oio.service.replica import Entry, Facts, Fenced, Gap, Prepare
from oio.service.shipping import Shipper
from oio.service.status import ServiceError

T = TypeVar("T")

OUTCOME_OPEN: Final = {"open": True}
"""Marks an error after which the next master decides whether the change stays: not to be sent again blindly."""


SETTLING: Final = 1.0
"""Seconds that a change has at least, once it is in the master's log: a client that is in a hurry must not cost the
base its master."""
TAKING_OVER: Final = 5.0
"""Seconds that becoming master has at least: it is done for all requests, not for the one that met it."""


class Redirected(ServiceError):
    """Another peer is master; its address is the message."""


class ReplicatedBase:
    """A base and this peer's part in it.

    `copies` is how many peers it had when it was asked for last, `used` when it was read or written last (monotonic).
    """

    def __init__(self, name: BaseName, node: Node) -> None:
        self.name = name
        self.node = node
        self.copy = Copy(name, node)
        self.election = Election()
        self.master = ""
        self.copies = 0
        self.used = time.monotonic()
        self._shipper = Shipper(self.copy)
        self._mastership: Mastership | None = None
        self._lease: Lease | None = None
        self._leading = asyncio.Lock()

    # -- serving

    async def read(
        self,
        act: Callable[[apsw.Connection], T],
        peers: Sequence[str],
        stale: bool = False,
        found: bool = False,
    ) -> T:
        """Run `act` over what is committed: as master, or on this copy as it is when `stale`."""
        if stale:
            return await self.copy.on_base(lambda base: base.read(act))
        self.used = time.monotonic()
        async with self._leading:
            _, lease = await self._lead(peers, found)
        result = await self.copy.on_base(lambda base: base.read(act))
        self._still_master(lease)
        return result

    async def write(
        self,
        act: Callable[[apsw.Connection], T],
        peers: Sequence[str],
        new_peers: frozenset[str] | None = None,
        found: bool = True,
    ) -> T:
        """Change the base through `act`, on a majority; `found` makes it where nobody ever had it.

        ServiceError: 303, what `act` raises, 503 without majority.
        """
        self.used = time.monotonic()
        async with self._leading:
            mastership, lease = await self._lead(peers, found)
            change, result = await self.copy.on_base(lambda base: base.record(act))
            if change:
                facts = await self.copy.facts()
                entry = Entry(facts.last_seq + 1, mastership.token, change, new_peers)
                with deadline.at_least(SETTLING):
                    await self._propose(mastership, lease, facts, (entry,))
            else:
                self._still_master(lease)
            return result

    async def status(self, peers: Sequence[str], found: bool = False) -> None:
        """Take part in the election: nothing when this peer is master, ServiceError 303 when another is."""
        async with self._leading:
            await self._lead(peers, found)

    async def take_part(self) -> None:
        """Take part in the election of a base that is here, as if it had been asked for; ServiceError as `status`."""
        peers = await self.copy.peers()
        with contextlib.suppress(Redirected):
            await self.status(sorted(peers))

    def is_master(self) -> bool:
        """Whether this peer is master now."""
        return self._mastership is not None and self._lease is not None and self._valid(self._lease)

    @property
    def idle(self) -> bool:
        """Whether nothing is lost when this object is forgotten."""
        return not self._leading.locked() and self._mastership is None

    async def leave(self) -> None:
        """Leave the election: give up the lease of the base's peers, if this peer holds it."""
        with contextlib.suppress(ServiceError):
            await self._resign(peer_set_key(self.name.type, await self.copy.peers()))

    async def remove(self, suffix: str) -> bool:
        """Delete the file, or the copy under a suffix; whether there was one."""
        if not suffix:
            self._depose()
        return await self.copy.remove(suffix)

    async def bury(self, born: int) -> bool:
        """Delete the file of a base that is deleted at all its peers, unless another has its name now."""
        if await self.copy.born() == born:
            self._depose()
        return await self.copy.bury(born)

    @property
    def token(self) -> int:
        """Token of this peer's mastership; 0 without one."""
        return self._mastership.token if self._mastership is not None else 0

    async def prepare(self, message: Prepare, born: int) -> dict[str, Any]:
        """Take a master's batch; ServiceError 473 when it has been deposed."""
        answer = await self.copy.prepare(message, born)
        if self._mastership is not None and self._mastership.token < message.token:
            self._depose()
        return answer

    async def bring_up_lagging(self) -> None:
        """As master, tell those peers how far the log is committed that did not hear it."""
        mastership, lease = self._mastership, self._lease
        if not self._shipper.lagging or mastership is None or lease is None or not self._valid(lease):
            return
        peers = await self.copy.peers()
        self._shipper.lagging &= peers
        for peer in sorted(self._shipper.lagging):
            self._shipper.announce(peer, mastership.token)

    # -- becoming master

    async def _lead(self, hint: Sequence[str], found: bool) -> tuple[Mastership, Lease]:
        deadline.check()
        with deadline.at_least(TAKING_OVER):
            return await self._lead_now(hint, found)

    async def _lead_now(self, hint: Sequence[str], found: bool) -> tuple[Mastership, Lease]:
        for _ in range(3):
            peers = await self._peers(hint)
            if self.node.name not in peers:
                raise ServiceError(status.BASE_NOT_FOUND, f"Base not managed by {self.node.name}")
            lease = await self._acquire(peers)
            if self._mastership is None or self._mastership.token != lease.token:
                await self._take_over(peers, lease, found)
            if self._mastership is not None:
                return self._mastership, lease
        raise ServiceError(status.UNAVAILABLE, f"{self.name.name}: its peers change; try again")

    async def _peers(self, hint: Sequence[str]) -> frozenset[str]:
        try:
            return await self.copy.peers()
        except ServiceError as error:
            if error.status != status.BASE_NOT_FOUND or not hint:
                raise
        return frozenset(hint)

    async def _acquire(self, peers: frozenset[str]) -> Lease:
        self.copies = len(peers)
        self._feed(Event.ASKED)
        try:
            lease = await self.node.leadership.acquire(peer_set_key(self.name.type, peers))
        except LeaseError as error:
            self._feed(Event.LEASE_FAILED)
            raise ServiceError(status.UNAVAILABLE, f"no lease: {error}") from error
        if self.node.leadership.is_mine(lease) and not self.node.settings.is_on(
            "sqliterepo.election.allow_master"
        ):
            await self._resign(lease.key)
            raise ServiceError(status.UNAVAILABLE, f"{self.node.name} may not be master now")
        if self.node.leadership.is_mine(lease):
            self._feed(Event.LEASE_MINE)
            self.master = self.node.name
            self._lease = lease
            return lease
        self._depose()
        self._feed(Event.LEASE_OTHER)
        self.master = lease.holder.partition("#")[0]
        raise Redirected(status.REDIRECT, self.master)

    async def _take_over(self, peers: frozenset[str], lease: Lease, found: bool) -> None:
        """Become master under a lease, or give the lease up. Without effect when the peers turn out to be others."""
        self._mastership = None
        try:
            await self._try_to_take_over(peers, lease, found)
        except succession.NeverFounded:
            # The lease is that of other bases as well, and none of them is to blame.
            self._feed(Event.PROMISES_FAILED)
            self._feed(Event.RELEASED)
            self.master = ""
            raise
        except ServiceError as error:
            if isinstance(error, succession.Fenced):
                self.node.leadership.raise_floor(error.promised)
                self._feed(Event.FENCED)
            else:
                self._feed(Event.PROMISES_FAILED)
            await self._resign(lease.key)
            # Whatever is open is the former master's change, not the caller's.
            error.body = None
            raise

    async def _try_to_take_over(self, peers: frozenset[str], lease: Lease, found: bool) -> None:
        promises = await succession.ask_promises(self.copy, peers, lease.token)
        if self.node.name not in promises.facts:
            await succession.come_by(self.copy, peers, promises, found)
            return
        mastership = await succession.take_office(self.copy, peers, lease.token, promises)
        if mastership is None or await self.copy.peers() != peers:
            return
        self._shipper.born = await self.copy.born()
        self._shipper.lagging |= peers - {self.node.name}
        facts = await self.copy.facts()
        if facts.last_seq > facts.committed:
            tail = await self.copy.on_base(lambda base: base.entries(facts.committed + 1))
            start = Facts(lease.token, facts.committed, facts.committed, 0)
            await self._propose(mastership, lease, start, replica.restamp(tail, lease.token))
            if any(entry.peers is not None for entry in tail):
                return
        self._mastership = mastership
        self._feed(Event.PROMISES_OK)

    async def _resign(self, key: str) -> None:
        self._depose()
        self._feed(Event.LEAVE_ASKED)
        with contextlib.suppress(LeaseError):
            await self.node.leadership.leave(key)
        self._feed(Event.RELEASED)
        self.master = ""

    def _depose(self) -> None:
        if self._mastership is not None:
            self._mastership = None
            self._feed(Event.LEASE_LOST)

    # -- changing

    async def _propose(
        self, mastership: Mastership, lease: Lease, before: Facts, entries: tuple[Entry, ...]
    ) -> None:
        """Have a majority write `entries` behind `before`, then commit. ServiceError 503: the outcome is open."""
        message = Prepare(mastership.token, before.last_seq, before.last_epoch, entries, before.committed)
        try:
            await self.copy.on_base(lambda base: replica.accept(base, message))
        except (Fenced, Gap) as error:
            await self._resign(lease.key)
            raise ServiceError(status.UNAVAILABLE, f"no longer master: {error}") from error
        except ServiceError as error:
            # Nothing was sent yet. A master that cannot write, on a full disk for example, is none.
            await self._resign(lease.key)
            raise ServiceError(status.UNAVAILABLE, error.message) from error
        configs = replica.configs_in_force(await self.copy.peers(), entries)
        others = sorted(quorum.everyone(configs) - {self.node.name})
        failed = await self._collect(mastership, message, configs, others)
        last = entries[-1].seq

        def commit(base: Base) -> bool:
            # Another master's entry may stand there by now; only what was counted may be committed.
            if base.epoch_at(last) != mastership.token or not self._valid(lease):
                return False
            base.commit(last)
            return True

        if failed is not None:
            self._mastership = None
            if any(error.status == status.IS_MASTER for error in failed.values()):
                await self._resign(lease.key)
            missing = "; ".join(f"{peer}: {error.message}" for peer, error in sorted(failed.items()))
            raise ServiceError(status.UNAVAILABLE, f"COMMIT failed, no majority ({missing})", OUTCOME_OPEN)
        if not await self._commit(commit):
            self._mastership = None
            raise ServiceError(
                status.UNAVAILABLE, f"{self.node.name} lost its lease before the commit", OUTCOME_OPEN
            )
        mastership.forget(last)
        for peer in others:
            self._shipper.announce(peer, mastership.token)
        if any(entry.peers is not None for entry in entries):
            self._mastership = None

    async def _commit(self, act: Callable[[Base], bool]) -> bool:
        try:
            return await self.copy.on_base(act)
        except ServiceError as error:
            # A majority has the change, so it stays, but this copy can no longer vouch for it.
            self._mastership = None
            raise ServiceError(error.status, error.message, OUTCOME_OPEN) from error

    async def _collect(
        self,
        mastership: Mastership,
        message: Prepare,
        configs: tuple[frozenset[str], ...],
        others: list[str],
    ) -> dict[str, ServiceError] | None:
        """Ship a batch to all and wait for a verdict: None for a majority, else why there is none."""
        failed: dict[str, ServiceError] = {}
        entries = message.entries
        verdict, _ = mastership.accepted(self.node.name, entries, failed, configs)
        pending = {self.node.spawn(self._shipper.ship(peer, message)): peer for peer in others}
        while verdict is Verdict.WAIT and pending:
            done, _ = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                peer = pending.pop(task)
                refusal = task.result()
                if refusal is None:
                    verdict, _ = mastership.accepted(peer, entries, failed, configs)
                else:
                    failed[peer] = refusal
                    have = mastership.acknowledged[entries[-1].seq]
                    verdict = quorum.decide(have, failed, configs)
        return None if verdict is Verdict.COMMIT else failed

    # -- small things

    def _valid(self, lease: Lease) -> bool:
        return self.node.leadership.valid(lease)

    def _still_master(self, lease: Lease) -> None:
        if not self._valid(lease):
            raise ServiceError(status.UNAVAILABLE, f"{self.node.name} is no longer master")

    def _feed(self, event: Event) -> None:
        if event is Event.ASKED and self.election.state in (State.MASTER, State.CREATING):
            return
        self.election.feed(event, int(time.time() * 1000))
