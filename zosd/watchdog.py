"""Looks after jobs that nobody works on (decision 57)."""

from __future__ import annotations

import structlog

from zosd.clock import Clock
from zosd.engine.engine import Engine
from zosd.journal.journal import Journal
from zosd.journal.records import DeploymentRecord, Phase

log = structlog.get_logger(__name__)


class Watchdog:
    """A job without worker and without alarm is started anew; the age of the oldest one is a metric."""

    def __init__(
        self, journal: Journal, engine: Engine, clock: Clock, period: float, age_limit: float
    ) -> None:
        self._journal = journal
        self._engine = engine
        self._clock = clock
        self._period = period
        self._age_limit = age_limit
        self._told: set[object] = set()

    async def run(self) -> None:
        while True:
            await self._clock.sleep(self._period)
            self.look()

    def look(self) -> None:
        old = []
        for record in self._jobs():
            if not self._engine.working_on(record.key):
                if not self._engine.resting(record.key):
                    log.warning("job without worker, started anew", deployment=str(record.key))
                self._engine.wake(record.key)
            if self._age(record) > self._age_limit:
                old.append(record)
        for record in old:
            if record.key not in self._told:
                log.warning(
                    "job does not come to its end",
                    deployment=str(record.key),
                    job=record.job.kind if record.job else "",
                    seconds=int(self._age(record)),
                )
        self._told = {record.key for record in old}

    def oldest(self) -> float:
        """Age of the oldest job in seconds, 0 when there is none."""
        return max((self._age(record) for record in self._jobs()), default=0.0)

    def count(self) -> int:
        return len(self._jobs())

    def _jobs(self) -> list[DeploymentRecord]:
        """Jobs of the engine; what waits for the chain is looked after elsewhere."""
        return [
            record
            for record in self._journal.ledger.all()
            if record.job is not None and record.phase in (Phase.ACTIVE, Phase.LEAVING)
        ]

    def _age(self, record: DeploymentRecord) -> float:
        return self._clock.time() - record.job.since if record.job else 0.0
