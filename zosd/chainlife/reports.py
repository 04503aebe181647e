"""What the node tells the chain: that it is up, and what its contracts use (engine §8)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import structlog

from gridtypes import Capacity
from tfchain import Chain, ChainError, ChainUnavailable
from tfchain.keys import Identity
from tfchain.models import ContractResources, Resources
from zosd.clock import Clock
from zosd.journal.journal import Journal
from zosd.journal.records import DeploymentRecord, Key, Phase
from zosd.traits import traits

log = structlog.get_logger(__name__)

COLLECT = 1.0
"""Seconds for which changes are collected into one report."""
MOST_IN_ONE_CALL = 100


class Uptime:
    def __init__(self, chain: Chain, key: Identity, clock: Clock, period: float, retry: float) -> None:
        """`period` and `retry` in seconds."""
        self._chain = chain
        self._key = key
        self._clock = clock
        self._period = period
        self._retry = retry

    async def run(self) -> None:
        while True:
            try:
                await self.report()
                pause = self._period
            except (ChainUnavailable, ChainError) as error:
                log.warning("uptime report failed, tried again", why=str(error), after=self._retry)
                pause = self._retry
            await self._clock.sleep(pause)

    async def report(self) -> None:
        """Tell the chain now.  Raises ChainUnavailable, ChainError."""
        # The chain accepts the hint only close to its own time, so it is taken just before.
        await self._chain.report_uptime(self._key, uptime(), int(self._clock.time()))


class ResourceReports:
    """Reports the resources of contracts after they changed, and of all of them once after a start."""

    def __init__(self, chain: Chain, key: Identity, journal: Journal, clock: Clock, retry: float) -> None:
        self._chain = chain
        self._key = key
        self._journal = journal
        self._clock = clock
        self._retry = retry
        self._changed: set[Key] = {record.key for record in journal.ledger.all()}
        self._reported: dict[Key, Capacity] = {}
        self._news = asyncio.Event()
        self._news.set()

    def changed(self, key: Key) -> None:
        """Something of the deployment changed its state."""
        self._changed.add(key)
        self._news.set()

    async def run(self) -> None:
        while True:
            await self._news.wait()
            await self._clock.sleep(COLLECT)
            self._news.clear()
            try:
                await self._report()
            except (ChainUnavailable, ChainError) as error:
                log.warning("resource report failed, tried again", why=str(error), after=self._retry)
                await self._clock.sleep(self._retry)
                self._news.set()

    async def _report(self) -> None:
        while batch := self._batch():
            reports = [
                ContractResources(key.contract, _resources(capacity)) for key, capacity in batch.items()
            ]
            try:
                await self._send(reports)
            except BaseException:
                self._changed.update(batch)
                raise
            self._reported.update(batch)

    def _batch(self) -> dict[Key, Capacity]:
        """Take the next contracts off the list; what changes while they are sent comes onto it again."""
        batch: dict[Key, Capacity] = {}
        while self._changed and len(batch) < MOST_IN_ONE_CALL:
            key = self._changed.pop()
            record = self._journal.ledger.get(key)
            if record is None or record.phase is not Phase.ACTIVE:
                self._reported.pop(key, None)
            elif self._reported.get(key) != (capacity := used(record)):
                batch[key] = capacity
        return batch

    async def _send(self, reports: Sequence[ContractResources]) -> None:
        """One call for all; when the chain refuses it, one for each, so that a bad one does not hide the others."""
        try:
            await self._chain.report_contract_resources(self._key, reports)
            return
        except ChainError as error:
            if len(reports) == 1:
                log.warning("resource report refused", contract=reports[0].contract_id, why=str(error))
                return
        for report in reports:
            await self._send([report])


def used(record: DeploymentRecord) -> Capacity:
    """What the workloads in `ok` or `paused` use (decision 12)."""
    return sum((traits(workload.definition).capacity for workload in record.healthy), Capacity())


def uptime() -> int:
    """Whole seconds since the kernel started."""
    return int(float(Path("/proc/uptime").read_text().split()[0]))


def _resources(capacity: Capacity) -> Resources:
    return Resources(hru=capacity.hru, sru=capacity.sru, cru=capacity.cru, mru=capacity.mru)
