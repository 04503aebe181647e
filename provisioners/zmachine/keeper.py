"""Keeps one machine running: waits for its end, starts it again with growing pauses, and says how it is."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import structlog

from gridtypes import WorkloadId
from provisioners.protocol import WorkloadError
from provisioners.system.qmp import QmpFailed
from provisioners.zmachine.ending import ending, last_words
from provisioners.zmachine.machine import Machine
from provisioners.zmachine.restart import STABLE_S, RestartPolicy, Verdict
from provisioners.zmachine.status import GuestState, GuestStatus

EXCERPT_BYTES = 4096
"""End of the console's log that is looked at for the last words of a machine."""

log = structlog.get_logger(__name__)


class Keeper:
    """Owns one background task from `begin` to `stop`."""

    def __init__(
        self,
        id: WorkloadId,
        machine: Machine,
        start: Callable[[], Awaitable[None]],
        changed: Callable[[GuestStatus], None],
    ) -> None:
        """`start` makes the machine from nothing and raises WorkloadError; `changed` is told of every change."""
        self._machine = machine
        self._start = start
        self._changed = changed
        self._policy = RestartPolicy()
        self._task: asyncio.Task[None] | None = None
        self._resumed = asyncio.Event()
        self._resumed.set()
        self.status = GuestStatus(id, GuestState.RUNNING, time.time())

    def begin(self, *, paused: bool = False) -> None:
        """Watch a machine that runs."""
        if paused:
            self._resumed.clear()
            self._say(state=GuestState.PAUSED)
        self._task = asyncio.create_task(self._keep(), name=f"keeper of {self.status.id}")

    async def stop(self) -> None:
        """Stop watching; the machine goes on.  Safe to repeat."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    def paused(self) -> None:
        """Told that the machine was stopped on purpose: should it end now, it is not started until `resumed`."""
        self._resumed.clear()
        self._say(state=GuestState.PAUSED, next_try=None)

    def resumed(self) -> None:
        self._resumed.set()
        if self.status.state is GuestState.PAUSED:
            self._say(state=GuestState.RUNNING)

    async def _keep(self) -> None:
        while True:
            await self._watch()
            while not await self._try_again():
                pass

    async def _watch(self) -> None:
        """Wait for the machine's end, judge it, and sleep until the next start."""
        end = asyncio.create_task(self._machine.wait_end())
        try:
            uptime = time.monotonic() - self._machine.started
            done, _ = await asyncio.wait([end], timeout=max(0.0, STABLE_S - uptime))
            if not done and self.status.error is not None:
                self._say(error=None, failures=0)
            evidence = await end
        finally:
            end.cancel()
            await asyncio.gather(end, return_exceptions=True)
        uptime = time.monotonic() - self._machine.started
        ended = ending(evidence)
        words = last_words(self._machine.place.log.tail(EXCERPT_BYTES))
        log.warning(
            "machine ended", workload=str(self.status.id), reason=ended.reason, uptime=round(uptime, 1)
        )
        await self._pause(self._policy.ended(ended, uptime, words))

    async def _try_again(self) -> bool:
        await self._resumed.wait()
        try:
            await self._start()
            if not self._resumed.is_set():  # paused while it was being started
                await self._machine.qmp.pause()
        except (WorkloadError, QmpFailed) as error:
            await self._pause(self._policy.not_started(str(error)))
            return False
        except Exception as error:
            log.exception("machine could not be started", workload=str(self.status.id))
            await self._pause(self._policy.not_started(f"internal error {type(error).__name__}"))
            return False
        state = GuestState.RUNNING if self._resumed.is_set() else GuestState.PAUSED
        self._say(state=state, restarts=self.status.restarts + 1, next_try=None)
        return True

    async def _pause(self, verdict: Verdict) -> None:
        if not self._resumed.is_set():
            self._say(failures=self._policy.failures)
            return
        self._say(
            state=GuestState.WAITING,
            failures=self._policy.failures,
            error=verdict.error,
            next_try=time.time() + verdict.pause,
        )
        await asyncio.sleep(verdict.pause)

    def _say(self, **changes: object) -> None:
        if changes.get("state", self.status.state) is not self.status.state:
            changes["since"] = time.time()
        self.status = replace(self.status, **changes)  # type: ignore[arg-type]  # names and types are those above
        self._changed(self.status)
