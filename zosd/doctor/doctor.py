"""Looks after the node's own health, keeps since when something is wrong, and leaves the report in a file."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit

import structlog

from zosd.chainlife.look import ChainSight
from zosd.clock import Clock
from zosd.config import Config
from zosd.doctor import facts, judgement
from zosd.doctor.disk_probe import DiskProbe
from zosd.doctor.judgement import Finding
from zosd.machine import Machine
from zosd.watchdog import Watchdog

log = structlog.get_logger(__name__)

PERIOD = 60.0
REPORT = "doctor.json"
"""In the run folder: for the node's own screen, which does not need the bus."""
FRESH = 3 * PERIOD
"""Seconds after which a report tells that the daemon itself hangs or is down."""
RELAY_PORT = 443
POOL_EVERY = 600.0
"""Seconds between two writes to a pool: a disk that nobody uses may sleep in between."""

BusLook = Callable[[], Awaitable[str]]


class Doctor:
    def __init__(
        self,
        config: Config,
        machine: Machine,
        watchdog: Watchdog,
        clock: Clock,
        run: Path,
        registration: Callable[[], tuple[int, str]],
        chain: Callable[[], Awaitable[ChainSight]] | None,
        bus: BusLook,
    ) -> None:
        """`registration` gives the node's id (0: none) and what is in the way."""
        self._config = config
        self._machine = machine
        self._watchdog = watchdog
        self._clock = clock
        self._file = run / REPORT
        self._state = config.paths.state
        self._registration = registration
        self._chain = chain
        self._bus = bus
        self._looking = asyncio.Lock()
        self._probes: dict[Path, DiskProbe] = {}
        self._since: dict[str, float] = {}
        self._last: tuple[Finding, ...] = ()
        self.bus_seconds: float | None = None
        """In which the local Redis answered at the last look; None when it did not."""

    async def run(self) -> None:
        while True:
            await self.look()
            await self._clock.sleep(PERIOD)

    async def look(self) -> tuple[Finding, ...]:
        """Examine everything now, side by side; what is newly wrong is logged once."""
        async with self._looking:
            return await self._look()

    async def _look(self) -> tuple[Finding, ...]:
        groups = await asyncio.gather(
            self._look_at_chain(), self._look_at_relays(), self._look_at_bus(), self._look_at_disks()
        )
        node, trouble = self._registration()
        found = [
            judgement.registration(node, trouble),
            *(finding for group in groups for finding in group),
            judgement.jobs(
                self._watchdog.oldest(), self._watchdog.count(), self._config.engine.job_age_limit
            ),
            judgement.accelerator(self._machine.features),
        ]
        self._last = tuple(self._dated(finding) for finding in found)
        self._since = {finding.subject: finding.since for finding in self._last if not finding.ok}
        await asyncio.to_thread(self._write)
        return self._last

    def _dated(self, finding: Finding) -> Finding:
        if finding.ok:
            return finding
        since = self._since.get(finding.subject)
        if since is None:
            log.warning("not well", subject=finding.subject, what=finding.text, remedy=finding.remedy)
            since = self._clock.time()
        return replace(finding, since=since)

    async def _look_at_chain(self) -> Sequence[Finding]:
        if self._chain is None:
            return [judgement.chain(False, None, None, None, ""), judgement.clock(None)]
        seen = await self._chain()
        found = [
            judgement.chain(True, seen.height, seen.age, seen.behind, seen.problem),
            judgement.clock(seen.offset),
        ]
        for url in self._config.chain.urls:
            parts = urlsplit(url)
            if parts.scheme == "wss" and parts.hostname:
                found.append(await self._certificate(parts.hostname, parts.port or 443))
        return found

    async def _look_at_relays(self) -> Sequence[Finding]:
        found = []
        for host in self._config.node.relays:
            problem = await facts.reach(host, RELAY_PORT)
            found.append(judgement.relay(host, problem))
            if not problem:
                found.append(await self._certificate(host, RELAY_PORT))
        return found

    async def _certificate(self, host: str, port: int) -> Finding:
        expires, problem = await facts.certificate(host, port)
        return judgement.certificate(host, expires, problem, self._clock.time())

    async def _look_at_bus(self) -> Sequence[Finding]:
        began = time.monotonic()
        problem = await self._bus()
        self.bus_seconds = None if problem else time.monotonic() - began
        return [judgement.bus(problem)]

    async def _look_at_disks(self) -> Sequence[Finding]:
        used = await asyncio.to_thread(self._machine.disks_in_use)
        journal, *looks = await asyncio.gather(
            self._probe(self._state).look(), *(self._probe(disk.folder).look() for disk in used)
        )
        pools = await self._machine.pools()
        expected = len(self._config.storage.disks)
        return [
            judgement.journal(journal),
            *judgement.disks(pools, self._machine.disks_left_alone, expected),
            *(judgement.disk(disk.device, disk.errors, look) for disk, look in zip(used, looks, strict=True)),
        ]

    def _probe(self, folder: Path) -> DiskProbe:
        return self._probes.setdefault(
            folder, DiskProbe(folder, 0.0 if folder == self._state else POOL_EVERY)
        )

    def _write(self) -> None:
        report = {"time": self._clock.time(), "findings": [finding.shown() for finding in self._last]}
        temporary = self._file.with_suffix(".new")
        try:
            temporary.write_text(json.dumps(report))
            os.rename(temporary, self._file)
        except OSError as error:
            log.warning("the doctor's report cannot be written", why=str(error))


def read_report(run: Path, now: float) -> list[Finding]:
    """The report that a daemon left in its run folder; a stale or missing one is itself a finding."""
    try:
        report = json.loads((run / REPORT).read_text())
        found = [Finding(**finding) for finding in report["findings"]]
        age = now - float(report["time"])
    except (OSError, ValueError, KeyError, TypeError):
        return [
            Finding("daemon", False, "there is no report: zosd does not run", "start zosd, and see its log")
        ]
    if age > FRESH:
        text = f"the last report is {age:.0f} s old: zosd hangs or is down"
        return [Finding("daemon", False, text, "start zosd anew; what runs is not touched"), *found]
    return found
