"""One base as one of its peers serves it: leading, writing, reading, following.

A change goes this way: recorded as a changeset, written to the own log, prepared by a majority of every peer set in
force, the lease checked once more, committed, answered. Slaves apply it with the next message.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, TypeVar

import apsw

from oio.service import quorum, replica, status, wire
from oio.service.base import Base
from oio.service.changeset import ChangeConflict
from oio.service.election import Election, Event, State
from oio.service.leadership import Leadership
from oio.service.lease import Lease, LeaseError
from oio.service.mastership import Mastership, catch_up
from oio.service.naming import BaseName, peer_set_key
from oio.service.quorum import Verdict
from oio.service.replica import Entry, Facts, Fenced, Gap, Prepare
from oio.service.repository import Presence, Repository
from oio.service.rpc import RpcClient
from oio.service.status import ServiceError

T = TypeVar("T")

PEER_TIMEOUT: Final = 5.0
"""Seconds that a peer has to write a change to its log, or to promise."""
COPY_TIMEOUT: Final = 240.0
OUTCOME_OPEN: Final = {"open": True}
"""Marks an error after which the next master decides whether the change stays: not to be sent again blindly."""
MAX_BATCH: Final = 256
"""Entries sent at once to a peer that is behind."""


@dataclass
class Node:
    """What the bases of one service share."""

    address: str
    namespace: str
    repository: Repository
    leadership: Leadership
    rpc: RpcClient
    tasks: set[asyncio.Task[Any]] = field(default_factory=set)

    def spawn(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Run something that this service owns and ends when it stops."""
        task = asyncio.ensure_future(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task

    async def stop(self) -> None:
        """End everything that runs, close all bases."""
        running = list(self.tasks)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        self.repository.close_all()


class ReplicatedBase:
    """A base and this peer's part in it. `founded` starts it where no peer has ever had it."""

    def __init__(self, name: BaseName, node: Node) -> None:
        self.name = name
        self.node = node
        self.election = Election()
        self.master = ""
        self._mastership: Mastership | None = None
        self._leading = asyncio.Lock()
        self._io = asyncio.Lock()

    # -- local access, one act at a time

    async def on_base(self, act: Callable[[Base], T]) -> T:
        """Run a blocking act over the open base; ServiceError 431 when it is not here."""
        async with self._io:
            return await asyncio.to_thread(self._act, act)

    async def on_repository(self, act: Callable[[Repository], T]) -> T:
        """Run a blocking act over the volume, while nobody uses the base."""
        async with self._io:
            return await asyncio.to_thread(act, self.node.repository)

    def _act(self, act: Callable[[Base], T]) -> T:
        try:
            return act(self.node.repository.open(self.name))
        except FileNotFoundError as error:
            raise ServiceError(
                status.BASE_NOT_FOUND, "Container not found : (2) No such file or directory"
            ) from error
        except ChangeConflict as error:
            self.node.repository.close(self.name)
            raise ServiceError(status.CORRUPT, f"{self.name.name}: the copy has diverged: {error}") from error
        except apsw.FullError as error:
            raise ServiceError(
                status.BUSY, f"no room left for {self.name.name} at {self.node.address}"
            ) from error
        except (apsw.ReadOnlyError, apsw.IOError) as error:
            raise ServiceError(
                status.UNAVAILABLE, f"{self.name.name} at {self.node.address}: {error}"
            ) from error

    async def presence(self) -> Presence:
        """Whether the file is here."""
        return await self.on_repository(lambda repository: repository.presence(self.name))

    # -- leading

    async def read(self, act: Callable[[apsw.Connection], T], peers: Sequence[str], stale: bool = False) -> T:
        """Run `act` over what is committed: as master, or on this copy as it is when `stale`."""
        if not stale:
            _, lease = await self._lead(peers)
        result = await self.on_base(lambda base: base.read(act))
        if not stale and not self.node.leadership.valid(lease):
            raise ServiceError(status.UNAVAILABLE, f"{self.node.address} is no longer master")
        return result

    async def write(
        self,
        act: Callable[[apsw.Connection], T],
        peers: Sequence[str],
        new_peers: frozenset[str] | None = None,
        found: bool = True,
    ) -> T:
        """Change the base through `act`, on a majority. ServiceError: 303, what `act` raises, 503 without majority."""
        async with self._leading:
            mastership, lease = await self._lead_alone(peers, found)
            change, result = await self.on_base(lambda base: base.record(act))
            if change:
                facts = await self.on_base(lambda base: base.facts())
                entry = Entry(facts.last_seq + 1, mastership.token, change, new_peers)
                await self._propose(mastership, lease, facts, (entry,))
            return result

    async def status(self, peers: Sequence[str]) -> None:
        """Take part in the election: nothing when this peer is master, ServiceError 303 when another is."""
        await self._lead(peers)

    async def _lead(self, peers: Sequence[str], found: bool = True) -> tuple[Mastership, Lease]:
        async with self._leading:
            return await self._lead_alone(peers, found)

    async def _lead_alone(self, hint: Sequence[str], found: bool) -> tuple[Mastership, Lease]:
        for _ in range(3):
            peers = await self._peers(hint)
            if self.node.address not in peers:
                raise ServiceError(status.BASE_NOT_FOUND, f"Base not managed by {self.node.address}")
            lease = await self._lease(peers)
            current = self._mastership
            if current is not None and current.token == lease.token:
                return current, lease
            if await self._collect(peers, lease, found):
                assert self._mastership is not None
                return self._mastership, lease
        raise ServiceError(status.UNAVAILABLE, f"{self.name.name}: its peers change; try again")

    async def _peers(self, hint: Sequence[str]) -> frozenset[str]:
        try:
            return await self.on_base(lambda base: base.peers())
        except ServiceError as error:
            if error.status != status.BASE_NOT_FOUND or not hint:
                raise
        return frozenset(hint)

    async def _lease(self, peers: frozenset[str]) -> Lease:
        self._feed(Event.ASKED)
        try:
            lease = await self.node.leadership.acquire(peer_set_key(self.name.type, peers))
        except LeaseError as error:
            self._feed(Event.LEASE_FAILED)
            raise ServiceError(status.UNAVAILABLE, f"no lease: {error}") from error
        if self.node.leadership.is_mine(lease):
            self._feed(Event.LEASE_MINE)
            self.master = self.node.address
            return lease
        self._depose()
        self._feed(Event.LEASE_OTHER)
        self.master = lease.holder.partition("#")[0]
        raise ServiceError(status.REDIRECT, self.master)

    async def _collect(self, peers: frozenset[str], lease: Lease, found: bool) -> bool:
        """Become master under a lease: promises of a majority, the best log, its end proposed again.

        False when the peers turned out to be others than thought.
        """
        self._mastership = None
        mastership = Mastership(self.node.address, lease.token)
        mine = await self.presence()
        answers = await self._ask_promises(peers, lease.token)
        facts = {p: wire.unpack_facts(a["facts"]) for p, a in answers.items() if "facts" in a}
        if mine is not Presence.HERE:
            await self._come_by(peers, answers, facts, mine, found)
            return False
        best = None
        for peer in sorted(facts, key=lambda peer: peer != self.node.address):
            best = mastership.promised(peer, facts[peer], (peers,)) or best
        never = [peer for peer, answer in answers.items() if answer.get("absent") == Presence.NEVER.value]
        if best is None and never and all(there.last_seq == 0 for there in facts.values()):
            # Founding was cut short: nothing was ever written, so the rest may still be founded.
            args = self._args(peers=sorted(peers))
            await asyncio.gather(
                *(self.node.rpc.call(peer, "peer_found", args, PEER_TIMEOUT) for peer in never)
            )
            return False
        if best is None:
            missing = sorted(peers - facts.keys())
            self._feed(Event.PROMISES_FAILED)
            await self.leave()
            raise ServiceError(
                status.UNAVAILABLE, f"No majority of {self.name.name}: no promise from {', '.join(missing)}"
            )
        best = replica.best_log(mastership.answers)
        await self._take_log(best, mastership.answers[best], lease.token)
        if await self.on_base(lambda base: base.peers()) != peers:
            return False
        mastership.ready = True
        self._mastership = mastership
        facts_now = await self.on_base(lambda base: base.facts())
        if facts_now.last_seq > facts_now.committed:
            tail = await self.on_base(lambda base: base.entries(facts_now.committed + 1))
            before = await self.on_base(lambda base: base.epoch_at(facts_now.committed)) or 0
            start = Facts(lease.token, facts_now.committed, facts_now.committed, before)
            await self._propose(mastership, lease, start, replica.restamp(tail, lease.token))
            if any(entry.peers is not None for entry in tail):
                return False
        self._feed(Event.PROMISES_OK)
        return True

    async def _ask_promises(self, peers: frozenset[str], token: int) -> dict[str, dict[str, Any]]:
        """What each peer that answered said; ServiceError 473 when one has promised a higher token."""
        args = self._args(token=token, caller=self.node.address)

        async def ask(peer: str) -> dict[str, Any]:
            if peer == self.node.address:
                return await self.promise(token, peer)
            answer: dict[str, Any] = await self.node.rpc.call(peer, "peer_promise", args, PEER_TIMEOUT)
            return answer

        ordered = sorted(peers)
        results = await asyncio.gather(*(ask(peer) for peer in ordered), return_exceptions=True)
        answers: dict[str, dict[str, Any]] = {}
        for peer, result in zip(ordered, results, strict=True):
            if isinstance(result, dict):
                answers[peer] = result
            elif isinstance(result, ServiceError):
                if result.status == status.IS_MASTER:
                    self._feed(Event.FENCED)
                    await self.leave()
                    raise ServiceError(status.UNAVAILABLE, f"{peer} follows a newer master: {result.message}")
            elif not isinstance(result, Exception):
                raise result
        return answers

    async def _come_by(
        self,
        peers: frozenset[str],
        answers: dict[str, dict[str, Any]],
        facts: dict[str, Facts],
        mine: Presence,
        found: bool,
    ) -> None:
        """Get the base where this peer has none: a copy of the best log, or, where nobody ever had it, a new one."""
        if facts:
            unwritten = all(there.last_seq == 0 for there in facts.values())
            if len(facts) < quorum.majority(len(peers)) and not (unwritten and mine is Presence.NEVER):
                await self.leave()
                raise ServiceError(
                    status.UNAVAILABLE, f"{self.name.name} is not here and at too few others to choose a copy"
                )
            await self.pull(replica.best_log(facts))
            return
        lost = sorted(peer for peer, answer in answers.items() if answer.get("absent") == Presence.LOST.value)
        if lost:
            await self.leave()
            raise ServiceError(status.BASE_NOT_FOUND, f"{self.name.name} is lost at {', '.join(lost)}")
        if not found or len(answers) < quorum.majority(len(peers)):
            await self.leave()
            if len(answers) < quorum.majority(len(peers)):
                raise ServiceError(status.UNAVAILABLE, f"No majority of {self.name.name} answers")
            raise ServiceError(status.BASE_NOT_FOUND, "Container not found : (2) No such file or directory")
        args = self._args(peers=sorted(peers))
        others = [peer for peer in answers if peer != self.node.address]
        results = await asyncio.gather(
            self.found(peers),
            *(self.node.rpc.call(peer, "peer_found", args, PEER_TIMEOUT) for peer in others),
            return_exceptions=True,
        )
        if sum(not isinstance(result, BaseException) for result in results) < quorum.majority(len(peers)):
            raise ServiceError(status.UNAVAILABLE, f"{self.name.name} could not be founded on a majority")

    async def _take_log(self, best: str, there: Facts, token: int) -> None:
        """Bring the own log to where the best one stands."""
        own = await self.on_base(lambda base: base.facts())
        if best != self.node.address and (own.last_epoch, own.last_seq) != (there.last_epoch, there.last_seq):
            args = self._args(first=own.committed + 1, last=there.last_seq)
            answer = await self.node.rpc.call(best, "peer_entries", args, PEER_TIMEOUT)
            if answer["previous"] is None or int(answer["first"]) > own.committed + 1:
                await self.pull(best)
                own = await self.on_base(lambda base: base.facts())
                args = self._args(first=own.committed + 1, last=there.last_seq)
                answer = await self.node.rpc.call(best, "peer_entries", args, PEER_TIMEOUT)
            entries = replica.restamp(wire.unpack_entries(answer["entries"]), token)
            if entries:
                before = await self.on_base(lambda base: base.epoch_at(own.committed)) or 0
                batch = Prepare(token, own.committed, before, entries, own.committed)
                await self.on_base(lambda base: replica.accept(base, batch))
        await self.on_base(lambda base: base.commit(min(there.committed, base.facts().last_seq)))

    async def _propose(
        self, mastership: Mastership, lease: Lease, before: Facts, entries: tuple[Entry, ...]
    ) -> None:
        """Have a majority write `entries` behind `before`, then commit. ServiceError 503: the outcome is open."""
        message = Prepare(mastership.token, before.last_seq, before.last_epoch, entries, before.committed)
        try:
            await self.on_base(lambda base: replica.accept(base, message))
        except (Fenced, Gap) as error:
            await self.leave()
            raise ServiceError(status.UNAVAILABLE, f"no longer master: {error}") from error
        committed_set = await self.on_base(lambda base: base.peers())
        configs = replica.configs_in_force(committed_set, entries)
        failed: dict[str, ServiceError] = {}
        verdict, last = mastership.accepted(self.node.address, entries, failed, configs)
        others = sorted(quorum.everyone(configs) - {self.node.address})
        pending = {self.node.spawn(self._ship(peer, message)): peer for peer in others}
        while verdict is Verdict.WAIT and pending:
            done, _ = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                peer = pending.pop(task)
                refusal = task.result()
                if refusal is None:
                    verdict, last = mastership.accepted(peer, entries, failed, configs)
                else:
                    failed[peer] = refusal
                    verdict = quorum.decide(mastership.acknowledged[last], failed, configs)
        if any(error.status == status.IS_MASTER for error in failed.values()):
            await self.leave()
        if verdict is not Verdict.COMMIT:
            self._mastership = None
            missing = "; ".join(f"{peer}: {error.message}" for peer, error in sorted(failed.items()))
            raise ServiceError(status.UNAVAILABLE, f"COMMIT failed, no majority ({missing})", OUTCOME_OPEN)
        if not self.node.leadership.valid(lease):
            self._mastership = None
            raise ServiceError(
                status.UNAVAILABLE, f"{self.node.address} lost its lease before the commit", OUTCOME_OPEN
            )
        await self.on_base(lambda base: base.commit(last))
        mastership.forget(last)
        announcement = Prepare(mastership.token, last, mastership.token, (), last)
        for peer in others:
            self.node.spawn(self._ship(peer, announcement))
        if any(entry.peers is not None for entry in entries):
            self._mastership = None

    async def _ship(self, peer: str, message: Prepare) -> ServiceError | None:
        """Send a batch and, where the peer is behind, what it lacks; the error when it could not take it."""
        try:
            answer = await self._send(peer, message)
            if answer is not None:
                return await self._bring_up(peer, message.token, answer)
        except ServiceError as error:
            if error.status != status.BASE_NOT_FOUND:
                return error
            try:
                data = await self.on_base(lambda base: self.node.repository.dump(self.name))
                args = self._args(data=data, token=message.token)
                there = await self.node.rpc.call(peer, "peer_install", args, COPY_TIMEOUT)
                return await self._bring_up(peer, message.token, wire.unpack_facts(there))
            except ServiceError as second:
                return second
        return None

    async def _send(self, peer: str, message: Prepare) -> Facts | None:
        """None when the batch was taken, the peer's facts when it does not join its log."""
        args = self._args(**wire.pack_prepare(message))
        answer = await self.node.rpc.call(peer, "peer_prepare", args, PEER_TIMEOUT)
        return None if answer["taken"] else wire.unpack_facts(answer["facts"])

    async def _bring_up(self, peer: str, token: int, there: Facts) -> ServiceError | None:
        """Send what the log has behind the peer's commit point; a whole copy when it no longer reaches that far."""

        def lacking(base: Base) -> tuple[int | None, tuple[Entry, ...], int]:
            first = there.committed + 1
            entries = tuple(base.entries(first, there.committed + MAX_BATCH))
            return base.epoch_at(there.committed), entries, base.facts().committed

        epoch, entries, committed = await self.on_base(lacking)
        if not entries:
            return None
        batch = catch_up(token, there, epoch if there.committed else 0, entries, committed)
        if batch is None:
            # The entry before the oldest kept one is gone as well; below the commit point its token does not matter.
            if entries[0].seq == there.committed + 1:
                batch = Prepare(token, there.committed, 0, entries, committed)
            else:
                raise ServiceError(
                    status.BASE_NOT_FOUND, f"the log no longer reaches back to {there.committed}"
                )
        facts = await self._send(peer, batch)
        if facts is None:
            return None
        if facts.committed > there.committed:
            return await self._bring_up(peer, token, facts)
        return ServiceError(status.UNAVAILABLE, f"{peer} does not take entry {there.committed + 1}")

    # -- following

    async def promise(self, token: int, caller: str) -> dict[str, Any]:
        """Answer a peer that wants to be master; ServiceError 473 when a higher token was promised."""
        presence = await self.presence()
        if presence is not Presence.HERE:
            return {"absent": presence.value}

        def act(base: Base) -> dict[str, Any]:
            known = set(base.peers())
            for entry in base.entries(base.facts().committed + 1):
                known |= entry.peers or frozenset()
            if caller not in known:
                raise ServiceError(status.NOT_ALLOWED, f"Base not managed by {caller}")
            try:
                return {"facts": wire.pack_facts(replica.take_promise(base, token))}
            except Fenced as error:
                raise ServiceError(status.IS_MASTER, str(error)) from error

        return await self.on_base(act)

    async def prepare(self, message: Prepare) -> dict[str, Any]:
        """Take a master's batch into the log; ServiceError 473 when it has been deposed."""

        def act(base: Base) -> dict[str, Any]:
            try:
                return {"taken": True, "facts": wire.pack_facts(replica.accept(base, message))}
            except Gap as gap:
                return {"taken": False, "facts": wire.pack_facts(gap.facts)}
            except Fenced as error:
                raise ServiceError(status.IS_MASTER, str(error)) from error

        answer = await self.on_base(act)
        if self._mastership is not None and self._mastership.token < message.token:
            self._depose()
        return answer

    async def entries(self, first: int, last: int) -> dict[str, Any]:
        """A part of the log, for a peer that becomes master."""

        def act(base: Base) -> dict[str, Any]:
            kept = base.entries(first, last)
            previous = base.epoch_at(first - 1)
            if previous is None and kept and kept[0].seq == first:
                previous = 0
            return {"entries": wire.pack_entries(kept), "first": base.first_entry(), "previous": previous}

        return await self.on_base(act)

    async def install(self, data: bytes, token: int) -> list[int]:
        """Take a whole copy from the master; ServiceError 473 when it has been deposed."""

        def act(repository: Repository) -> list[int]:
            if repository.presence(self.name) is Presence.HERE:
                facts = repository.open(self.name).facts()
                if replica.is_fenced(facts.promised, token):
                    raise ServiceError(
                        status.IS_MASTER, f"a master with token {facts.promised} has taken over"
                    )
            repository.install(self.name, data)
            base = repository.open(self.name)
            base.promise(token)
            return wire.pack_facts(base.facts())

        return await self.on_repository(act)

    async def found(self, peers: frozenset[str]) -> None:
        """Make the empty base, if it never was here."""
        admin = {"sys.peers": ",".join(sorted(peers))}
        if self.name.type == "meta2":
            admin["sys.ns"] = self.node.namespace

        def act(repository: Repository) -> None:
            with contextlib.suppress(FileExistsError):
                repository.found(self.name, admin)

        await self.on_repository(act)

    async def pull(self, source: str, suffix: str = "") -> None:
        """Take a whole copy from a peer, unless the own one is as far; ServiceError 431 when the peer has none."""
        answer = await self.node.rpc.call(source, "peer_dump", self._args(), COPY_TIMEOUT)
        there = wire.unpack_facts(answer["facts"])

        def act(repository: Repository) -> None:
            here = not suffix and repository.presence(self.name) is Presence.HERE
            # Entries that this copy has acknowledged must not vanish under an older copy.
            if here and repository.open(self.name).facts().last_seq > there.committed:
                return
            repository.install(self.name, answer["data"], suffix)

        await self.on_repository(act)

    async def copy_here(self, suffix: str) -> None:
        """Keep a copy of the own base under a suffix."""

        def act(repository: Repository) -> None:
            repository.install(self.name, repository.dump(self.name), suffix)

        await self.on_repository(act)

    async def remove(self, suffix: str) -> bool:
        """Delete the file; whether there was one."""
        if not suffix:
            await self.leave()
        return await self.on_repository(lambda repository: repository.remove(self.name, suffix))

    async def leave(self) -> None:
        """Leave the election: give up the lease of the base's peers, if this peer holds it."""
        self._depose()
        self._feed(Event.LEAVE_ASKED)
        with contextlib.suppress(ServiceError, LeaseError):
            peers = await self.on_base(lambda base: base.peers())
            await self.node.leadership.leave(peer_set_key(self.name.type, peers))
        self._feed(Event.RELEASED)
        self.master = ""

    async def is_master(self) -> bool:
        """Whether this peer holds the lease of the base's peers now."""
        return self.election.state is State.MASTER and self._mastership is not None

    def volume_path(self, suffix: str = "") -> Path:
        """Where the file stands."""
        return self.node.repository.path(self.name, suffix)

    def _depose(self) -> None:
        if self._mastership is not None:
            self._mastership = None
            self._feed(Event.LEASE_LOST)

    def _feed(self, event: Event) -> None:
        if event is Event.ASKED and self.election.state in (State.MASTER, State.CREATING):
            return
        self.election.feed(event, int(time.time() * 1000))

    def _args(self, **values: Any) -> dict[str, Any]:
        return {"type": self.name.type, "name": self.name.name, **values}
