"""The engine: one serial worker for each deployment that has something to do, bounded over all of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog
from structlog.contextvars import bind_contextvars, bound_contextvars

from gridtypes import ResultState, Workload, WorkloadId, WorkloadType
from provisioners.protocol import Context, PlacedWorkload, Provisioner
from zosd.clock import Clock
from zosd.engine import outcome, view
from zosd.engine.acts import Acts, Failed, Limits, Made, Outcome, failure_of, note_of
from zosd.engine.backoff import Backoff
from zosd.engine.eyes import Eyes
from zosd.engine.orphans import Orphans
from zosd.engine.plan import Sight, Step, Verb, plan, settled
from zosd.engine.spared import spared
from zosd.journal.changes import DropDeployment, DropJob, PutJob
from zosd.journal.journal import Journal
from zosd.journal.records import DeploymentRecord, Job, Key, Phase, WorkloadRecord
from zosd.measures import Measures
from zosd.traits import traits

log = structlog.get_logger(__name__)

STOP_GRACE = 10.0
"""Seconds that running acts have to end by themselves when the daemon stops."""

Provisioners = Mapping[WorkloadType, Provisioner]


@dataclass(frozen=True, slots=True)
class EngineSettings:
    parallel: int = 16
    limits: Limits = field(default_factory=Limits)
    backoff: Backoff = field(default_factory=Backoff)


class Engine:
    """Drives every deployment toward what the journal wants."""

    def __init__(
        self,
        journal: Journal,
        provisioners: Provisioners,
        ctx: Context,
        clock: Clock,
        settings: EngineSettings | None = None,
        changed: Callable[[Key], None] = lambda key: None,
        measures: Measures | None = None,
    ) -> None:
        """`changed` is called after a workload's state was altered, for example to report used resources."""
        self.settings = settings or EngineSettings()
        self._journal = journal
        self._provisioners = provisioners
        self._clock = clock
        self._changed = changed
        self._measures = measures or Measures()
        self._eyes = Eyes()
        self._acts = Acts(ctx, self.settings.limits, freed=self._wake_owner)
        self._orphans = Orphans(
            provisioners, ctx, self._acts, clock, self.settings.backoff, gone=self._wake_owner
        )
        self._slots = asyncio.Semaphore(self.settings.parallel)
        self._workers: dict[Key, asyncio.Task[None]] = {}
        self._again: set[Key] = set()
        self._alarms: dict[Key, asyncio.Task[None]] = {}
        self._resting: set[Key] = set()
        """Not at their goal, and waiting for something else than time."""
        self._early: dict[WorkloadId, str | None] = {}
        """Reports of workloads whose act had not come back when they were made."""
        self._reports: set[asyncio.Task[None]] = set()
        self._unseen: set[WorkloadId] = set()
        self._stopping = False
        self.adopted = asyncio.Event()
        """Set once everything that should be on the machine has been looked at."""

    # -- life --

    async def start(self) -> None:
        """Compare the machine with the journal and begin to work on the differences."""
        found = await self._orphans.inventory()
        lost: set[Key] = set()
        for workload in self._journal.ledger.workloads():
            there = found.get(workload.definition.type)
            if not workload.healthy:
                continue
            if there is not None and workload.id not in there:
                lost.add(Key(workload.id.twin, workload.id.contract))
            else:
                self._eyes.see(workload.id, Sight.UNSEEN)
                self._unseen.add(workload.id)
        job = Job("recover", self._clock.time())
        await self._journal.commit("recover", [PutJob(key, job) for key in lost])
        self._note_adoption()
        known = {(record.definition.type, record.id) for record in self._journal.ledger.workloads()}
        self._orphans.start(found, known | await spared(self._journal, found))
        for record in self._journal.ledger.all():
            self.wake(record.key)

    async def stop(self) -> None:
        """End all workers; what runs on the machine is left running."""
        self._stopping = True
        for alarm in self._alarms.values():
            alarm.cancel()
        tasks = [*self._workers.values(), *self._alarms.values(), *self._reports]
        await self._orphans.stop()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=STOP_GRACE)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=STOP_GRACE)

    # -- what others tell the engine --

    def wake(self, key: Key) -> None:
        """Look at a deployment now."""
        if self._stopping:
            return
        self._resting.discard(key)
        alarm = self._alarms.pop(key, None)
        if alarm is not None and alarm is not asyncio.current_task():
            alarm.cancel()
        if key in self._workers:
            self._again.add(key)
            return
        worker = asyncio.create_task(self._work(key), name=f"deployment {key}")
        self._workers[key] = worker
        worker.add_done_callback(lambda task: self._ended(key, task))

    async def fallen(self, id: WorkloadId, message: str) -> None:
        """A workload that ran has died; it is made again after a pause."""
        key = Key(id.twin, id.contract)
        async with self._journal.altering(key):
            record = self._workload(key, id)
            if record is None or not record.healthy or record.leaving:
                return
            effect = outcome.fallen(key, record, message, self._clock.time(), self.settings.backoff)
            await self._apply("fallen", key, record, effect)
        self.wake(key)

    async def reported(self, id: WorkloadId, error: str | None) -> None:
        """A provisioner that watches its workloads says that one failed (and is mended), or works again (None)."""
        key = Key(id.twin, id.contract)
        async with self._journal.altering(key):
            record = self._workload(key, id)
            if record is None or record.leaving:
                return
            if self._eyes.sight(id) is not Sight.LIVE:
                self._early[id] = error
                return
            if record.result.state is ResultState.PAUSED:
                return
            provisioner = self._provisioners.get(record.definition.type)
            note = note_of(provisioner) if provisioner else ""
            effect = outcome.reported(key, record, error, note, self._clock.time())
            await self._journal.commit("reported", effect.changes)
        if effect.changes:
            self._changed(key)
            self.wake(key)

    def look_again(self, type: WorkloadType) -> None:
        """Something under all workloads of a type has changed: each is recovered once more."""
        for record in self._journal.ledger.all():
            for workload in record.workloads:
                if workload.definition.type is type and self._eyes.sight(workload.id) is Sight.LIVE:
                    self._eyes.see(workload.id, Sight.UNSEEN)
                    self.wake(record.key)

    # -- what others ask --

    @property
    def workers(self) -> int:
        """Deployments that are worked on now."""
        return len(self._workers)

    def next_try(self, id: WorkloadId) -> float | None:
        """Seconds since 1970 of the next try of a failed workload; None when nothing is planned."""
        wait = self._eyes.next_try(id) - self._clock.monotonic()
        return self._clock.time() + wait if wait > 0 else None

    def working_on(self, key: Key) -> bool:
        """Whether a worker or an alarm looks after the deployment."""
        return key in self._workers or key in self._alarms

    def resting(self, key: Key) -> bool:
        """Whether the deployment waits for another workload; whoever that is wakes it."""
        return key in self._resting

    # -- the worker of one deployment --

    async def _work(self, key: Key) -> None:
        bind_contextvars(deployment=str(key), twin=int(key.twin))
        while not self._stopping:
            record = self._journal.ledger.get(key)
            if record is None:
                return
            if record.phase is Phase.LEAVING and not record.workloads:
                await self._forget(record)
                return
            # One moment for both: a try that becomes due between two looks would be waited for by nobody.
            now = self._clock.monotonic()
            step = self._next(record, now)
            if step is None:
                await self._rest(record, now)
                return
            async with self._slots:
                await self._take(key, step)

    def _next(self, record: DeploymentRecord, now: float) -> Step | None:
        desired = view.desired(self._journal.ledger, record, self._eyes, self._can_pause)
        seen = view.observed(record, self._eyes, self._busy, now)
        for step in plan(desired, seen):
            workload = record.workload(step.name)
            if workload is not None and not self._told_already(workload, step):
                return step
        return None

    async def _take(self, key: Key, step: Step) -> None:
        record = self._journal.ledger.get(key)
        workload = record.workload(step.name) if record else None
        if workload is None:
            return
        tried = self._version(workload, step)
        self._early.pop(workload.id, None)
        began = self._clock.monotonic()
        with bound_contextvars(workload=str(workload.id)):
            result = await self._act(workload, tried, step)
        self._measures.act(
            step.verb.value, tried.type.value, self._clock.monotonic() - began, failure_of(result)
        )
        async with self._journal.altering(key):
            now = self._workload(key, workload.id)
            if now is None:
                return
            effect = outcome.after(key, now, tried, step, result, self._clock.time(), self.settings.backoff)
            await self._apply(step.verb.value, key, now, effect)
        self._eyes.tell(workload.id, step.reason)
        if isinstance(result, Failed):
            log.info("step failed", workload=str(workload.id), step=step.verb.value, why=result.message)

    async def _apply(self, name: str, key: Key, workload: WorkloadRecord, effect: outcome.Effect) -> None:
        await self._journal.commit(name, effect.changes)
        if effect.sight is not None:
            self._eyes.see(workload.id, effect.sight)
        if effect.sight is Sight.LIVE and workload.id in self._early:
            # In a task of its own: this one holds the deployment.
            late = asyncio.create_task(self.reported(workload.id, self._early.pop(workload.id)))
            self._reports.add(late)
            late.add_done_callback(self._reports.discard)
        if effect.failures:
            pause = self.settings.backoff.delay(effect.failures, self._clock.jitter())
            self._eyes.wait_until(workload.id, self._clock.monotonic() + pause)
        else:
            self._eyes.wait_until(workload.id, 0.0)
        self._unseen.discard(workload.id)
        self._note_adoption()
        if self._workload(key, workload.id) is None:
            self._eyes.forget(workload.id)
            self._early.pop(workload.id, None)
        if effect.changes:
            self._changed(key)
        self._wake_neighbours(key, workload)

    def _wake_neighbours(self, key: Key, workload: WorkloadRecord) -> None:
        """Others of the twin may wait for this network, or this may be the last user of theirs."""
        ledger = self._journal.ledger
        touched = ledger.users_of(key.twin, workload.name) if workload.definition.type.sharable else []
        for name in traits(workload.definition).needs:
            touched += ledger.owners_of(key.twin, name)
        for other in touched:
            if other.key != key and other.job is not None:
                self.wake(other.key)

    async def _act(self, workload: WorkloadRecord, tried: Workload, step: Step) -> Outcome:
        if step.verb in (Verb.HOLD, Verb.BLAME):
            return Made()
        provisioner = self._provisioners.get(tried.type)
        if provisioner is None:
            return Failed(f"this node cannot run workloads of type '{tried.type.value}'")
        placed = PlacedWorkload(workload.id, tried.with_result(workload.result))
        match step.verb:
            case Verb.INSTALL:
                return await self._acts.install(provisioner, placed)
            case Verb.RECOVER:
                return await self._acts.recover(provisioner, placed)
            case Verb.UPDATE:
                current = PlacedWorkload(workload.id, workload.shown())
                return await self._acts.update(provisioner, current, placed)
            case Verb.REMOVE:
                return await self._acts.remove(provisioner, workload.id)
            case Verb.PAUSE:
                return await self._acts.pause(provisioner, workload.id)
            case Verb.RESUME:
                return await self._acts.resume(provisioner, workload.id)

    async def _rest(self, record: DeploymentRecord, now: float) -> None:
        """Nothing to do at the moment `now`: finish the job, or set an alarm for the next try."""
        desired = view.desired(self._journal.ledger, record, self._eyes, self._can_pause)
        seen = view.observed(record, self._eyes, self._busy, now)
        if settled(desired, seen):
            if record.job is not None:
                async with self._journal.altering(record.key):
                    if self._journal.ledger.get(record.key) == record:
                        await self._journal.commit("settled", [DropJob(record.key)])
                    else:
                        self._again.add(record.key)
            return
        moments = [self._eyes.next_try(workload.id) for workload in record.workloads]
        later = [moment for moment in moments if moment > now]
        if not later:
            self._resting.add(record.key)
        else:
            self._alarms[record.key] = asyncio.create_task(self._alarm(record.key, min(later) - now))

    async def _alarm(self, key: Key, seconds: float) -> None:
        await self._clock.sleep(seconds)
        if self._alarms.get(key) is asyncio.current_task():
            del self._alarms[key]
        self.wake(key)

    async def _forget(self, record: DeploymentRecord) -> None:
        await self._journal.commit("forget", [DropDeployment(record.key)])
        log.info("deployment is gone", deployment=str(record.key))

    def _ended(self, key: Key, task: asyncio.Task[None]) -> None:
        self._workers.pop(key, None)
        failure = None if task.cancelled() else task.exception()
        if self._stopping:
            return
        if failure is not None:
            log.error("worker failed, starts anew", deployment=str(key), exc_info=failure)
            pause = self.settings.backoff.delay(3, self._clock.jitter())
            self._alarms[key] = asyncio.get_running_loop().create_task(self._alarm(key, pause))
        elif key in self._again:
            self._again.discard(key)
            self.wake(key)

    # -- small questions --

    def _version(self, workload: WorkloadRecord, step: Step) -> Workload:
        """Which version a step is about: what never ran is made in its newest version at once."""
        if step.verb is Verb.UPDATE and workload.newer is not None:
            return workload.newer
        if step.verb is Verb.INSTALL and not workload.healthy and not workload.half_changed:
            return workload.newer or workload.definition
        return workload.definition

    def _wake_owner(self, id: WorkloadId) -> None:
        self.wake(Key(id.twin, id.contract))

    def _told_already(self, workload: WorkloadRecord, step: Step) -> bool:
        return step.verb in (Verb.HOLD, Verb.BLAME) and self._eyes.told(workload.id) == step.reason

    def _workload(self, key: Key, id: WorkloadId) -> WorkloadRecord | None:
        record = self._journal.ledger.get(key)
        return record.workload(id.name) if record else None

    def _busy(self, id: WorkloadId) -> bool:
        return self._acts.busy(id) or self._orphans.holds(id)

    def _can_pause(self, type: WorkloadType) -> bool:
        return hasattr(self._provisioners.get(type), "pause")

    def _note_adoption(self) -> None:
        if not self._unseen:
            self.adopted.set()
