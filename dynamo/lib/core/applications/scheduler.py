"""Takes applications from the queue, runs them, and applies what they changed."""

from __future__ import annotations

import asyncio
import gc
import logging
import secrets
import shutil
import time
from pathlib import Path
from typing import Any

from dynamo.core.applications.child import Task
from dynamo.core.applications.job import Ending, Job, Outcome
from dynamo.core.authorizer import Authorizer
from dynamo.core.components.persistency import Version
from dynamo.core.dynamoinventory import DynamoInventory
from dynamo.core.master.applications import Application, ApplicationQueue, AuthLevel, Status
from dynamo.core.master.authorizations import Authorizations
from dynamo.core.master.users import Users
from dynamo.core.objectrepository import Action
from dynamo.dataformat import DynamoError

LOG = logging.getLogger(__name__)

DAY_S = 86400
CLEAN_S = 3600.0
"""How often old applications are forgotten, in seconds."""


class Scheduler:
    """Runs applications side by side, one that writes at a time.

    Everything that forks or changes the image holds `image`, so that a child never sees half a batch.
    """

    def __init__(
        self,
        name: str,
        inventory: DynamoInventory,
        queue: ApplicationQueue,
        authorizations: Authorizations,
        users: Users,
        work_base: Path,
        *,
        timeout: float,
        retain_days: int,
        max_procs: int,
        user: str | None,
        poll: float,
    ) -> None:
        self.inventory = inventory
        self.queue = queue
        self.users = users
        self.image = asyncio.Lock()
        self.jobs: dict[int, Job] = {}
        self._name = name
        self._authorizations = authorizations
        self._work_base = work_base
        self._timeout = timeout
        self._retain_days = retain_days
        self._max_procs = max_procs
        self.console_user = user
        self._poll = poll
        self._wake = asyncio.Event()
        self._changed = asyncio.Condition()
        self._writing = False

    def new_work_area(self) -> Path:
        """A fresh folder for one application."""
        area = self._work_base / secrets.token_hex(8)
        area.mkdir(mode=0o700, parents=True)
        return area

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
        leftovers = self.queue.kill_leftovers(self._name)
        if leftovers:
            LOG.warning("%d applications were left unfinished and are marked killed", leftovers)
        cleaned = 0.0
        async with asyncio.TaskGroup() as group:
            try:
                while True:
                    if time.monotonic() - cleaned > CLEAN_S or cleaned == 0.0:
                        self.forget_old()
                        cleaned = time.monotonic()
                    while len(self.jobs) < self._max_procs:
                        app = self.queue.assign_next(self._name, writers=not self._writing)
                        if app is None:
                            break
                        self._writing = self._writing or app.auth_level is AuthLevel.WRITE
                        job = self._job(app)
                        self.jobs[app.id] = job
                        group.create_task(self._run(app, job))
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

    def _job(self, app: Application) -> Job:
        hours = app.timeout
        limit = self._timeout if hours == 0 else hours * 3600.0
        task = Task(
            self.queue.executable(app.id), app.args, app.auth_level, Path(app.path), self.console_user
        )
        return Job(task, None if hours < 0 else max(limit, 1.0))

    async def _run(self, app: Application, job: Job) -> None:
        try:
            status, exit_code = await self._finish(app, job)
            LOG.info("Application %d (%s) ended: %s, exit code %s", app.id, app.title, status, exit_code)
            self.queue.set_status(app.id, status, exit_code)
        except Exception:
            LOG.exception("Application %d (%s) broke", app.id, app.title)
            self.queue.set_status(app.id, Status.FAILED, 1)
        finally:
            self.jobs.pop(app.id, None)
            if app.auth_level is AuthLevel.WRITE:
                self._writing = False
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
        async with self.image:
            await job.start(self.inventory, Authorizer(self.users))
        self.queue.set_status(app.id, Status.RUN)
        await self._notify()
        outcome = await job.run()
        if outcome.ending is Ending.EXITED and outcome.exit_code == 0 and outcome.commands:
            await self._apply(app, outcome)
        if outcome.reason:
            LOG.warning("Application %d (%s): %s", app.id, app.title, outcome.reason)
            with (job.task.work_area / "_stderr").open("a") as stderr:
                print(outcome.reason, file=stderr)
        if outcome.ending is Ending.KILLED:
            return Status.KILLED, outcome.exit_code
        return (Status.DONE if outcome.exit_code == 0 else Status.FAILED), outcome.exit_code

    async def _apply(self, app: Application, outcome: Outcome) -> None:
        try:
            await self.apply_batch(outcome.commands)
        except DynamoError as error:
            outcome.exit_code, outcome.reason = 1, f"Nothing was changed: {error}"
            return
        LOG.info("Application %d (%s) changed %d objects", app.id, app.title, len(outcome.commands))

    async def apply_batch(self, commands: list[tuple[Action, dict[str, Any]]]) -> None:
        """Apply changes, all or nothing.  Raises BatchRefused, OperationalError."""
        async with self.image:
            try:
                store = self.inventory.store
                version = None if store is None else store.version()
                after = None if version is None else Version(version.epoch, version.sequence + 1)
                self.inventory.apply(commands, after)
            finally:
                freeze_image()

    def take_write_slot(self) -> bool:
        """Be the one that writes; False when somebody else is."""
        if self._writing:
            return False
        self._writing = True
        return True

    def give_write_slot(self) -> None:
        """Let others write."""
        self._writing = False
        self._wake.set()

    def forget_old(self) -> None:
        """Drop records and work areas of applications that ended long ago."""
        for app in self.queue.forget_before(int(time.time()) - self._retain_days * DAY_S):
            area = Path(app.path)
            if area.parent == self._work_base:
                shutil.rmtree(area, ignore_errors=True)


def freeze_image() -> None:
    """Keep the collector away from the image: children would copy every page that it touches."""
    gc.collect()
    gc.freeze()
