"""Keeps sequences going."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace

from dynamo.core.applications.scheduler import Scheduler
from dynamo.core.sequences.progress import advance
from dynamo.core.sequences.register import Registered, SequenceRegister
from dynamo.dataformat import DynamoError

LOG = logging.getLogger(__name__)


class SequenceRunner:
    """Looks at all enabled sequences once a round, on the primary."""

    def __init__(self, register: SequenceRegister, scheduler: Scheduler, round_s: float) -> None:
        self.register = register
        self._scheduler = scheduler
        self._round_s = round_s

    async def serve(self) -> None:
        """Keep sequences going until cancelled."""
        while True:
            try:
                for found in (
                    self.register.listed(enabled_only=True) if self._scheduler.member.is_primary else ()
                ):
                    self._look(found)
            except DynamoError as error:
                LOG.error("Sequences do not go on: %s", error)
            await asyncio.sleep(self._round_s)

    def _look(self, found: Registered) -> None:
        app = self._scheduler.queue.get(found.state.app_id) if found.state.app_id else None
        status = None if app is None else app.status
        state, submit = advance(found.state, found.sequence.steps, status, int(time.time()))
        if app is not None and app.status.is_final and app.status != "done":
            LOG.error("Sequence %s: application %d (%s) ended %s", found.name, app.id, app.title, app.status)
        if submit is not None:
            step = submit.step
            area = self._scheduler.new_work_area()
            number = self._scheduler.queue.submit(
                step.title,
                found.executables[step.title].encode(),
                step.arguments,
                step.auth_level,
                str(area),
                found.user_id,
                self._scheduler.name,
                step.timeout,
            )
            state = replace(state, app_id=number)
            self._scheduler.wake()
        if state != found.state:
            self.register.save(found.name, state)

    def kill_step(self, found: Registered) -> None:
        """End the application that a sequence was waiting for."""
        job = self._scheduler.jobs.get(found.state.app_id)
        if job is not None:
            job.kill("Its sequence was stopped")
        elif found.state.app_id:
            self._scheduler.queue.ask_to_kill(found.state.app_id, "Its sequence was stopped")
