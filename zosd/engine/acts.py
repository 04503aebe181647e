"""Calling a provisioner: one act on the machine, within a time limit, with its end as a value."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import structlog
from pydantic import BaseModel

from gridtypes import WorkloadId
from provisioners.protocol import Context, InUse, PlacedWorkload, Provisioner, Unchanged, WorkloadError
from zosd.engine.plan import Verb

log = structlog.get_logger(__name__)

GRACE = 10.0
"""Seconds that an act has for its clean-up after it was cancelled."""


@dataclass(frozen=True, slots=True)
class Made:
    """It is on the machine as specified."""

    data: BaseModel | None = None
    note: str = ""
    """A remark for the tenant that is no error, for example that nothing real was made."""


@dataclass(frozen=True, slots=True)
class NotThere:
    """It has to be made (again)."""


@dataclass(frozen=True, slots=True)
class Gone:
    """It is no longer on the machine."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An update was refused; nothing was touched."""

    message: str


@dataclass(frozen=True, slots=True)
class Waits:
    """A removal has to wait for somebody else."""

    message: str


@dataclass(frozen=True, slots=True)
class Failed:
    message: str
    reason: str = "failed"
    """One of a few words, for figures: `failed` (by the workload's own fault), `time`, `internal`."""


Outcome = Made | NotThere | Gone | Refused | Waits | Failed


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds."""

    provision: float = 900.0
    other: float = 180.0

    def of(self, verb: Verb) -> float:
        return self.provision if verb in (Verb.INSTALL, Verb.UPDATE) else self.other


class Acts:
    """Runs acts and remembers those that neither ended nor let themselves be cancelled."""

    def __init__(
        self, ctx: Context, limits: Limits, freed: Callable[[WorkloadId], None] = lambda id: None
    ) -> None:
        """`freed` is called when an act that was set aside has ended after all."""
        self._ctx = ctx
        self._limits = limits
        self._freed = freed
        self._stuck: dict[WorkloadId, asyncio.Task[Any]] = {}

    def busy(self, id: WorkloadId) -> bool:
        """Whether an act of this workload still runs although its time is over."""
        return id in self._stuck

    async def install(self, provisioner: Provisioner, workload: PlacedWorkload) -> Outcome:
        return await self._data(
            Verb.INSTALL, workload.id, provisioner, lambda: provisioner.provision(self._ctx, workload)
        )

    async def recover(self, provisioner: Provisioner, workload: PlacedWorkload) -> Outcome:
        outcome = await self._data(
            Verb.RECOVER, workload.id, provisioner, lambda: provisioner.recover(self._ctx, workload)
        )
        if outcome == Made(None, note_of(provisioner)):
            return NotThere()
        if isinstance(outcome, Failed):
            log.warning("recover failed, will be made again", workload=str(workload.id), why=outcome.message)
            return NotThere()
        return outcome

    async def update(
        self, provisioner: Provisioner, current: PlacedWorkload, wanted: PlacedWorkload
    ) -> Outcome:
        update = getattr(provisioner, "update", None)
        if update is None:
            return Refused(f"workload '{wanted.type.value}' does not support upgrade")
        return await self._data(
            Verb.UPDATE, wanted.id, provisioner, lambda: update(self._ctx, current, wanted)
        )

    async def remove(self, provisioner: Provisioner, id: WorkloadId) -> Outcome:
        return await self._plain(Verb.REMOVE, id, lambda: provisioner.deprovision(self._ctx, id), Gone())

    async def pause(self, provisioner: Provisioner, id: WorkloadId) -> Outcome:
        pause = getattr(provisioner, "pause", None)
        if pause is None:
            return Made()
        return await self._plain(Verb.PAUSE, id, lambda: pause(self._ctx, id), Made())

    async def resume(self, provisioner: Provisioner, id: WorkloadId) -> Outcome:
        resume = getattr(provisioner, "resume", None)
        if resume is None:
            return Made()
        return await self._plain(Verb.RESUME, id, lambda: resume(self._ctx, id), Made())

    def _release(self, id: WorkloadId) -> None:
        del self._stuck[id]
        self._freed(id)

    async def _data(
        self,
        verb: Verb,
        id: WorkloadId,
        provisioner: Provisioner,
        act: Callable[[], Awaitable[BaseModel | None]],
    ) -> Outcome:
        async def made() -> Outcome:
            return Made(await act(), note_of(provisioner))

        return await self._limited(verb, id, made)

    async def _plain(
        self, verb: Verb, id: WorkloadId, act: Callable[[], Awaitable[None]], done: Outcome
    ) -> Outcome:
        async def made() -> Outcome:
            await act()
            return done

        return await self._limited(verb, id, made)

    async def _limited(self, verb: Verb, id: WorkloadId, act: Callable[[], Awaitable[Outcome]]) -> Outcome:
        limit = self._limits.of(verb)
        task = asyncio.ensure_future(_outcome(verb, id, act))
        try:
            done, _ = await asyncio.wait({task}, timeout=limit)
            if done:
                return task.result()
            task.cancel()
            done, _ = await asyncio.wait({task}, timeout=GRACE)
        except asyncio.CancelledError:
            task.cancel()
            await asyncio.wait({task}, timeout=GRACE)
            raise
        if not done:
            self._stuck[id] = task
            task.add_done_callback(lambda _: self._release(id))
            log.error("act does not let itself be cancelled, set aside", workload=str(id), verb=verb.value)
        return Failed(f"{verb.value} did not end within {limit:g} s", "time")


def failure_of(outcome: Outcome) -> str:
    """In one word; "" for what ended well."""
    match outcome:
        case Failed(_, reason):
            return reason
        case Refused():
            return "refused"
        case Waits():
            return "waits"
        case _:
            return ""


def note_of(provisioner: Provisioner) -> str:
    """The provisioner's remark on everything that it makes (`notice`), "" for a real one."""
    return str(getattr(provisioner, "notice", ""))


async def _outcome(verb: Verb, id: WorkloadId, act: Callable[[], Awaitable[Outcome]]) -> Outcome:
    try:
        return await act()
    except Unchanged as error:
        return Refused(str(error))
    except InUse as error:
        return Waits(str(error))
    except WorkloadError as error:
        return Failed(str(error))
    except Exception as error:
        log.exception("act failed by our own fault", workload=str(id), verb=verb.value)
        return Failed(f"internal error of the node: {type(error).__name__}", "internal")
