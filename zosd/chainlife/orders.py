"""What the chain makes the node do with a deployment: leave, pause, run."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import TypeVar

import structlog

from gridtypes import Name
from zosd.accept import drafts
from zosd.clock import Clock
from zosd.journal.changes import PutJob, SetPaused
from zosd.journal.journal import Journal
from zosd.journal.records import Job, Key, Phase

T = TypeVar("T")

log = structlog.get_logger(__name__)

MOST_REMEMBERED = 4096


class Orders:
    def __init__(self, journal: Journal, clock: Clock, wake: Callable[[Key], None]) -> None:
        self._journal = journal
        self._clock = clock
        self._wake = wake
        self._ended: OrderedDict[Key, str] = OrderedDict()
        """Why contracts ended of which nothing was here."""
        self._grace: OrderedDict[Key, bool] = OrderedDict()
        """Whether contracts of which nothing was here are in their grace period."""

    async def leave(self, key: Key, reason: str) -> None:
        """The contract ended: remove everything of the deployment, its record last."""
        async with self._journal.altering(key):
            record = self._journal.ledger.get(key)
            if record is None:
                _remember(self._ended, key, reason)
                log.info("contract ended, nothing of it is here", deployment=str(key))
                return
            if record.phase is Phase.LEAVING:
                return
            await self._journal.commit("leave", drafts.leave(record, reason, self._clock.time()))
        log.info("contract ended, deployment goes", deployment=str(key), reason=reason)
        self._wake(key)

    async def withdraw(self, key: Key, name: Name, reason: str) -> None:
        """Something that one workload needs of the chain is gone: remove it, and leave the others."""
        async with self._journal.altering(key):
            record = self._journal.ledger.get(key)
            changes = drafts.withdraw(record, name, reason, self._clock.time()) if record is not None else ()
            if not changes:
                return
            await self._journal.commit("withdraw", changes)
        log.info("workload goes", deployment=str(key), workload=name, reason=reason)
        self._wake(key)

    async def pause(self, key: Key, paused: bool) -> None:
        """The grace period of the contract began or ended."""
        async with self._journal.altering(key):
            record = self._journal.ledger.get(key)
            if record is None:
                _remember(self._grace, key, paused)
                return
            if record.phase is Phase.LEAVING or record.paused is paused:
                return
            job = Job("pause" if paused else "resume", self._clock.time())
            await self._journal.commit("pause", [SetPaused(key, paused), PutJob(key, job)])
        log.info("grace period", deployment=str(key), began=paused)
        self._wake(key)

    async def catch_up(self, key: Key) -> None:
        """After a deployment was accepted: what happened to its contract between the look at it and the commit."""
        reason = self._ended.get(key)
        if reason is not None:
            await self.leave(key, reason)
            return
        paused = self._grace.pop(key, None)
        if paused is not None:
            await self.pause(key, paused)


def _remember(things: OrderedDict[Key, T], key: Key, what: T) -> None:
    things[key] = what
    things.move_to_end(key)
    if len(things) > MOST_REMEMBERED:
        things.popitem(last=False)
