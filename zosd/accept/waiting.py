"""Deployments and updates that were accepted without the chain: checked as soon as it can be reached."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from gridtypes import Deployment, NodeId, WorkloadType
from tfchain import ChainUnavailable
from zosd.accept import drafts
from zosd.accept.contract import check_contract, check_name, check_renter, not_found, wanted_names
from zosd.accept.facts import ChainFacts
from zosd.accept.refusal import Refusal
from zosd.accept.rules import check_addresses, wanted_addresses
from zosd.books import Books
from zosd.capacity import MachineFacts, shortage
from zosd.clock import Clock
from zosd.journal.journal import Journal
from zosd.journal.records import Key, Phase

log = structlog.get_logger(__name__)

SHORTEST_PAUSE = 2.0
LONGEST_PAUSE = 60.0
"""Seconds between two rounds while the chain is away."""
LOOK_FOR = 300.0
"""Seconds for which a contract that a reachable chain does not show is looked for."""


class Waiting:
    def __init__(
        self,
        journal: Journal,
        books: Books,
        chain: ChainFacts,
        node_id: Callable[[], NodeId],
        machine: Callable[[], Awaitable[MachineFacts]],
        updatable: Callable[[WorkloadType], bool],
        clock: Clock,
        wake: Callable[[Key], None],
    ) -> None:
        """`node_id` raises Refusal while the node is not registered; `wake` tells the engine."""
        self._journal = journal
        self._books = books
        self._chain = chain
        self._node_id = node_id
        self._machine = machine
        self._updatable = updatable
        self._clock = clock
        self._wake = wake
        self._missing_since: dict[Key, float] = {}
        self._news = asyncio.Event()

    def look(self) -> None:
        """Something new waits, or the chain came back."""
        self._news.set()

    async def run(self) -> None:
        """Check what waits, for ever; cheap while nothing does."""
        pause = SHORTEST_PAUSE
        while True:
            waiting = self._waiting()
            if not waiting:
                self._missing_since.clear()
                pause = SHORTEST_PAUSE
                await self._news.wait()
                self._news.clear()
                continue
            reached = await self.round(waiting)
            pause = SHORTEST_PAUSE if reached else min(LONGEST_PAUSE, pause * 2)
            await self._sleep(pause)

    async def _sleep(self, seconds: float) -> None:
        """Until the next round, or until there is news."""
        sleeping = asyncio.ensure_future(self._clock.sleep(seconds))
        news = asyncio.ensure_future(self._news.wait())
        try:
            await asyncio.wait({sleeping, news}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            self._news.clear()
            sleeping.cancel()
            news.cancel()

    async def round(self, waiting: list[Key] | None = None) -> bool:
        """Check each waiting one once.  Returns whether the chain could be reached."""
        for key in self._waiting() if waiting is None else waiting:
            try:
                await self._check(key)
            except ChainUnavailable as error:
                await self._explain(key, f"the contract is not checked yet: chain unreachable: {error}")
                return False
        return True

    def _waiting(self) -> list[Key]:
        return [
            record.key
            for record in self._journal.ledger.all()
            if record.phase is Phase.WAITING or record.update is not None
        ]

    async def _check(self, key: Key) -> None:
        record = self._journal.ledger.get(key)
        if record is None:
            return
        fresh = record.phase is Phase.WAITING
        deployment = record.deployment() if fresh or not record.update else record.update.deployment
        hash = record.hash if fresh else drafts.hash_of(deployment)
        try:
            contract = await self._chain.find(key.contract, 0)
            if contract is None:
                await self._missing(key)
                return
            self._missing_since.pop(key, None)
            node = self._node_id()
            check_contract(contract, deployment, hash, node)
            check_renter(deployment, node, await self._chain.renter(node))
            check_addresses(wanted_addresses(deployment), len(contract.addresses))
            for name in wanted_names(deployment):
                check_name(deployment, name, await self._chain.name_owner(name, 0))
        except Refusal as refusal:
            await self._refuse(key, deployment, str(refusal))
            return
        await self._accept(key, deployment, hash)

    async def _missing(self, key: Key) -> None:
        """The chain answers, but does not show the contract (yet)."""
        now = self._clock.monotonic()
        since = self._missing_since.setdefault(key, now)
        height = await self._chain.height()
        if now - since >= LOOK_FOR:
            raise Refusal(not_found(key.contract, height))
        await self._explain(key, f"the contract is not visible yet (looked at block {height})")

    async def _accept(self, key: Key, deployment: Deployment, hash: str) -> None:
        unmade = self._books.unmade()
        machine = await self._machine()
        async with self._journal.altering(key):
            record = self._journal.ledger.get(key)
            if record is None:
                return
            now = self._clock.time()
            if record.phase is Phase.WAITING:
                await self._journal.commit("checked", drafts.found_good(record))
            elif record.update is not None and record.update.deployment == deployment:
                try:
                    operations = drafts.operations(record, deployment, self._updatable)
                    draft = drafts.update(record, deployment, hash, operations, now)
                    text = shortage(draft.asks, self._books.booked(before=unmade), machine)
                    if text is not None:
                        raise Refusal(text)
                    changes = draft.changes
                except Refusal as refusal:
                    changes = drafts.update_found_bad(record, str(refusal), now)
                await self._journal.commit("checked", changes)
        log.info("contract checked", deployment=str(key))
        self._wake(key)

    async def _refuse(self, key: Key, deployment: Deployment, message: str) -> None:
        async with self._journal.altering(key):
            record = self._journal.ledger.get(key)
            if record is None:
                return
            now = self._clock.time()
            if record.phase is Phase.WAITING:
                await self._journal.commit("checked", drafts.found_bad(record, message, now))
            elif record.update is not None and record.update.deployment == deployment:
                await self._journal.commit("checked", drafts.update_found_bad(record, message, now))
        self._missing_since.pop(key, None)
        log.warning("contract does not fit", deployment=str(key), why=message)
        self._wake(key)

    async def _explain(self, key: Key, message: str) -> None:
        async with self._journal.altering(key):
            record = self._journal.ledger.get(key)
            if record is not None and record.phase is Phase.WAITING:
                await self._journal.commit("explain", drafts.explained(record, message))
