"""Keeps sequences going."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace

from dynamo.core.applications.scheduler import Scheduler
from dynamo.core.mail import Message, Postman
from dynamo.core.master.applications import Application
from dynamo.core.sequences.definition import Criticality, Execute
from dynamo.core.sequences.progress import advance, wants_mail
from dynamo.core.sequences.register import Registered, SequenceRegister
from dynamo.dataformat import DynamoError

MAIL_S = 3600.0
"""How long further failures of the same line are not mailed, in seconds."""
SHOWN_CHARS = 4000
"""How much of each stream a mail shows, from its end."""

LOG = logging.getLogger(__name__)


class SequenceRunner:
    """Looks at all enabled sequences once a round, on the primary."""

    def __init__(
        self,
        register: SequenceRegister,
        scheduler: Scheduler,
        round_s: float,
        postman: Postman,
        recipient: str,
    ) -> None:
        """`recipient` hears of failures in sequences whose owner has no address."""
        self.register = register
        self._postman = postman
        self._recipient = recipient
        self._mailed: dict[tuple[str, int], float] = {}
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
        if found.state.app_id and wants_mail(found.sequence.steps[found.state.line], status):
            self._tell(found, app)
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

    def _tell(self, found: Registered, app: Application | None) -> None:
        """Write to the owner, at most once an hour for each line: a step that is repeated fails every few seconds."""
        place = (found.name, found.state.line)
        last = self._mailed.get(place)
        if last is not None and time.monotonic() - last < MAIL_S:
            return
        self._mailed[place] = time.monotonic()
        to = self._scheduler.users.email(found.user_id) or self._recipient
        step = found.sequence.steps[found.state.line]
        assert isinstance(step, Execute), "others have no application"
        again = "begins again" if step.criticality is Criticality.REPEAT_SEQUENCE else "repeats this line"
        lines = [
            f"Sequence {found.name}, line {found.state.line + 1}: {step.title} {step.arguments}".rstrip()
        ]
        if app is None:
            lines.append(f"The record of application {found.state.app_id} is lost.")
        else:
            lines.append(
                f"Application {app.id} ended {app.status} on {app.server}, exit code {app.exit_code}."
            )
            lines += [
                f"\n{name}, its end:\n{text[-SHOWN_CHARS:]}"
                for name, text in zip(("stdout", "stderr"), self._scheduler.printed(app.id), strict=True)
                if text
            ]
        lines.append(f"\nThe sequence {again}.  Further failures of this line within an hour are not mailed.")
        if to:
            self._postman.send(Message(to, f"Sequence {found.name}: {step.title} failed", "\n".join(lines)))
        else:
            LOG.warning(
                "Nobody hears by mail that %s failed in %s: there is no address", step.title, found.name
            )

    def kill_step(self, found: Registered) -> None:
        """End the application that a sequence was waiting for."""
        job = self._scheduler.jobs.get(found.state.app_id)
        if job is not None:
            job.kill("Its sequence was stopped")
        elif found.state.app_id:
            self._scheduler.queue.ask_to_kill(found.state.app_id, "Its sequence was stopped")
