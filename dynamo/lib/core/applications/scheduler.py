"""Takes applications from the queue, runs them, and applies what they changed."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from dynamo.core.applications.child import Task
from dynamo.core.applications.job import Ending, Job, Outcome
from dynamo.core.applications.sandbox import Confinement
from dynamo.core.authorizer import Authorizer
from dynamo.core.cluster.member import Member
from dynamo.core.components.impl.database import OutcomeUnknown
from dynamo.core.master.applications import Application, ApplicationQueue, AuthLevel, Status
from dynamo.core.master.authorizations import Authorizations
from dynamo.core.master.users import Users
from dynamo.core.registry.access import Note
from dynamo.core.registry.desk import Desk
from dynamo.dataformat import DynamoError, OperationalError

LOG = logging.getLogger(__name__)

Result = TypeVar("Result")

DAY_S = 86400
SHOWN_BYTES = 20_000
"""How much of what an application printed is shown to operators, from its end."""
DATABASE_S = 1.0
"""How long to wait before a database that is away is asked again, in seconds."""
OUTPUT_S = 0.5
"""How often output is handed on to another server, in seconds."""
PIECE = 1 << 16
"""How much of it at a time, in bytes."""
CLEAN_S = 3600.0
"""How often old applications are forgotten, in seconds."""


class Scheduler:
    """Runs applications side by side, one that writes at a time.

    Everything that forks or changes the image holds `image`, so that a child never sees half a batch.
    """

    def __init__(
        self,
        member: Member,
        queue: ApplicationQueue,
        authorizations: Authorizations,
        users: Users,
        desk: Desk,
        work_base: Path,
        *,
        timeout: float,
        retain_days: int,
        max_procs: int,
        confinement: Confinement,
        poll: float,
    ) -> None:
        self.member = member
        self.inventory = member.inventory
        self.queue = queue
        self.users = users
        self.desk = desk
        self.jobs: dict[int, Job] = {}
        self.name = member.name
        self._authorizations = authorizations
        self._work_base = work_base
        self._timeout = timeout
        self._retain_days = retain_days
        self._max_procs = max_procs
        self.confinement = confinement
        self._poll = poll
        self._cleaned = -CLEAN_S
        self._wake = asyncio.Event()
        self._changed = asyncio.Condition()
        desk.add_change("applications.printed", self.printed)

    def new_work_area(self) -> Path:
        """A fresh folder for one application."""
        area = self._work_base / secrets.token_hex(8)
        area.mkdir(mode=0o700, parents=True)
        return area

    def printed(self, number: int) -> list[str | None]:
        """The end of what an application printed on both streams; None where it lies on another server."""
        app = self.queue.get(number)
        found: list[str | None] = []
        for index, name in enumerate(("_stdout", "_stderr"), 1):
            try:
                with (Path("/dev/null" if app is None else app.path) / name).open("rb") as output:
                    output.seek(max(0, output.seek(0, os.SEEK_END) - SHOWN_BYTES))
                    found.append(output.read().decode("utf-8", "replace"))
            except OSError:
                kept = self.queue.output(number, index, 0)
                found.append(kept[-SHOWN_BYTES:].decode("utf-8", "replace") or None)
        return found

    def wake(self) -> None:
        """Look into the queue at once."""
        self._wake.set()

    async def wait_for_change(self, limit: float) -> None:
        """Wait until the status of some application has changed, or for `limit` seconds."""
        try:
            async with asyncio.timeout(limit), self._changed:
                await self._changed.wait()
        except TimeoutError:
            pass

    async def serve(self) -> None:
        """Run applications until cancelled; what runs then is ended."""
        leftovers = await self._with_database(lambda: self.queue.kill_leftovers(self.name))
        if leftovers:
            LOG.warning("%d applications were left unfinished and are marked killed", leftovers)
        async with asyncio.TaskGroup() as group:
            try:
                while True:
                    await self._with_database(lambda: self._round(group))
                    self._wake.clear()
                    try:
                        async with asyncio.timeout(self._poll):
                            await self._wake.wait()
                    except TimeoutError:
                        pass
            finally:
                for job in self.jobs.values():
                    job.kill("The server stops")
                while self.jobs:
                    await self.wait_for_change(1.0)

    async def _with_database(self, work: Callable[[], Result]) -> Result:
        """Do something with the master database, as soon as it answers."""
        while True:
            try:
                return work()
            except OperationalError as error:
                LOG.warning("waiting for the master database: %s", error)
                await asyncio.sleep(DATABASE_S)

    def _round(self, group: asyncio.TaskGroup) -> None:
        if time.monotonic() - self._cleaned > CLEAN_S:
            self.forget_old()
            self._cleaned = time.monotonic()
        for number, reason in self.queue.to_be_killed(self.name):
            if number in self.jobs:
                self.jobs[number].kill(reason)
        if self.queue.give_back(self.name, self.jobs.keys()):
            LOG.warning("Applications were assigned while the database was lost; they wait again")
        while len(self.jobs) < self._max_procs:
            app = self._next()
            if app is None:
                break
            job = self._job(app)
            self.jobs[app.id] = job
            group.create_task(self._run(app, job))

    def _next(self) -> Application | None:
        if self.member.is_draining or not self.member.is_online:
            return None
        locked = self.desk.answer("locks.locked", {}, may_change=False)
        if self.queue.has_waiting_writer(locked) and self.member.take_write_slot():
            app = self.queue.assign_next(self.name, True, locked)
            if app is not None:
                return app
            self.member.give_write_slot()
        return self.queue.assign_next(self.name, False, locked)

    def _job(self, app: Application) -> Job:
        hours = app.timeout
        limit = self._timeout if hours == 0 else hours * 3600.0
        area = Path(app.path) if app.user_host == self.name else self.new_work_area()
        task = Task(self.queue.executable(app.id), app.args, app.auth_level, area)
        return Job(task, None if hours < 0 else max(limit, 1.0), self.desk, self.confinement)

    async def _run(self, app: Application, job: Job) -> None:
        status: Status = Status.FAILED
        exit_code: int | None = 1
        try:
            status, exit_code = await self._finish(app, job)
            LOG.info("Application %d (%s) ended: %s, exit code %s", app.id, app.title, status, exit_code)
        except Exception:
            LOG.exception("Application %d (%s) broke", app.id, app.title)
        finally:
            await self._with_database(lambda: self.queue.set_status(app.id, status, exit_code))
            self.jobs.pop(app.id, None)
            if app.auth_level is AuthLevel.WRITE:
                self.member.give_write_slot()
            self._wake.set()
            await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()

    async def _finish(self, app: Application, job: Job) -> tuple[Status, int | None]:
        executable = job.task.executable
        if executable is None:
            return Status.NOTFOUND, None
        if app.auth_level is AuthLevel.WRITE and not self._authorizations.check(
            app.title, executable, app.user_id
        ):
            return Status.AUTHFAILED, None
        authorizer = await self._with_database(lambda: Authorizer(self.users))
        await self.member.with_image(lambda: job.start(self.inventory, authorizer), None)
        await self._with_database(lambda: self.queue.set_status(app.id, Status.RUN))
        await self._notify()
        async with asyncio.TaskGroup() as group:
            copying = None
            if app.user_host != self.name:
                copying = group.create_task(self._copy_output(app, job.task.work_area))
            outcome = await job.run()
            if copying is not None:
                copying.cancel()
        if outcome.ending is Ending.EXITED and outcome.exit_code == 0 and (outcome.commands or outcome.notes):
            await self._apply(app, outcome)
        if outcome.reason:
            LOG.warning("Application %d (%s): %s", app.id, app.title, outcome.reason)
            with (job.task.work_area / "_stderr").open("a") as stderr:
                print(outcome.reason, file=stderr)
        if app.user_host != self.name:
            await self._with_database(lambda: self._copy_once(app, job.task.work_area, {}))
        if outcome.ending is Ending.KILLED:
            return Status.KILLED, outcome.exit_code
        return (Status.DONE if outcome.exit_code == 0 else Status.FAILED), outcome.exit_code

    async def _apply(self, app: Application, outcome: Outcome) -> None:
        try:
            if app.auth_level is AuthLevel.WRITE:
                await self.member.write(outcome.commands, app.id, lambda: self.desk.perform(outcome.notes))
            elif outcome.notes:
                self._note(outcome.notes)
        except OutcomeUnknown as error:
            logged = await self._with_database(lambda: self.member.was_logged(app.id))
            if not (logged and outcome.commands):
                outcome.exit_code, outcome.reason = 1, str(error)
                return
        except DynamoError as error:
            outcome.exit_code, outcome.reason = 1, f"Nothing was changed: {error}"
            return
        LOG.info("Application %d (%s) changed %d objects", app.id, app.title, len(outcome.commands))

    def _note(self, notes: list[Note]) -> None:
        with self.member.together():
            self.desk.perform(notes)

    async def _copy_output(self, app: Application, area: Path) -> None:
        """Hand output on to the server whose client waits for it."""
        done: dict[str, int] = {}
        while True:
            await self._with_database(lambda: self._copy_once(app, area, done))
            await asyncio.sleep(OUTPUT_S)

    def _copy_once(self, app: Application, area: Path, done: dict[str, int]) -> None:
        for stream, name in enumerate(("_stdout", "_stderr"), 1):
            try:
                with (area / name).open("rb") as output:
                    output.seek(done.get(name, 0))
                    while data := output.read(PIECE):
                        self.queue.add_output(app.id, stream, done.get(name, 0), data)
                        done[name] = done.get(name, 0) + len(data)
            except FileNotFoundError:
                continue

    def forget_old(self) -> None:
        """Drop records and work areas of applications that ended long ago."""
        for app in self.queue.forget_before(int(time.time()) - self._retain_days * DAY_S):
            area = Path(app.path)
            if area.parent == self._work_base:
                shutil.rmtree(area, ignore_errors=True)
