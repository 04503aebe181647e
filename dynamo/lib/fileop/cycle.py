"""One round of file operations: what has ended is noted, what can begin is begun."""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Sequence

from dynamo.core.components.impl.database import Database
from dynamo.core.master.database import transaction
from dynamo.dataformat import OperationalError, Site
from dynamo.dataformat.fileop import TaskState
from dynamo.dataformat.repository import Repository
from dynamo.fileop.backend import Backend, FileTask, Report
from dynamo.fileop.sources import choose_source
from dynamo.fileop.subscriptions import Status, Subscription, Subscriptions
from dynamo.fileop.tasks import Task, Tasks

LOG = logging.getLogger(__name__)

MAX_PENDING = 1000
"""Most files that a back-end works on at a time."""
MAX_DELETION_FAILURES = 10
"""How often a deletion is tried before it is held."""


class FileOperations:
    """The state machine of subscriptions.  Every step finds its work in the tables, so that any may be the last.

    A subscription is new or to be retried, goes into a batch, and is done; or it is held, or cancelled.
    """

    def __init__(
        self,
        database: Database,
        backend: Backend,
        inventory: Repository,
        pick: Callable[[Sequence[str]], str] | None = None,
    ) -> None:
        """`pick` chooses one of equally good sources, by default at random."""
        self._database = database
        self._backend = backend
        self._inventory = inventory
        self._pick = pick
        self._subscriptions = Subscriptions(database)
        self._tasks = Tasks(database)

    def run(self) -> None:
        """One round.  Raises OperationalError when the database is away."""
        self._end_batches()
        self._repair()
        self._forget_cancelled()
        self._start(is_deletion=True)
        self._start(is_deletion=False)
        self._backend.cleanup()

    def _end_batches(self) -> None:
        batches: dict[str, list[Task]] = {}
        for task in self._tasks.listed():
            batches.setdefault(task.batch, []).append(task)
        for batch, tasks in batches.items():
            reports = self._backend.reports(batch)
            if reports is None:
                self._lose(tasks)
                continue
            by_task = {report.task: report for report in reports}
            open_tasks = 0
            with transaction(self._database):
                for task in tasks:
                    report = by_task.get(task.id) or Report(task.id, TaskState.FAILED, 1, "Not in its batch")
                    if report.state.is_final:
                        self._end(task, report)
                    else:
                        open_tasks += 1
                        self._cancel_if_unwanted(batch, task)
            if not open_tasks:
                self._backend.forget(batch)

    def _lose(self, tasks: list[Task]) -> None:
        """Begin again with tasks of a batch that the back-end has never heard of, or not any more."""
        with transaction(self._database):
            for task in tasks:
                found = self._subscriptions.get(task.subscription_id)
                if found is not None and found.status is Status.INBATCH:
                    self._subscriptions.set_status([found.id], Status.NEW)
                self._tasks.drop(task.id)

    def _end(self, task: Task, report: Report) -> None:
        found = self._subscriptions.get(task.subscription_id)
        if found is None:
            self._tasks.drop(task.id)
            return
        self._tasks.archive(task, found, report)
        if found.status is not Status.INBATCH:
            # It was cancelled, or asked for anew, meanwhile; a file that came nevertheless is taken away by whoever
            # asked for its deletion.
            return
        if report.state is TaskState.DONE:
            self._subscriptions.set_status([found.id], Status.DONE)
        elif report.state is TaskState.CANCELLED:
            self._subscriptions.set_status([found.id], Status.NEW)
        else:
            LOG.warning(
                "File %s at %s (from %s): %s", found.file, found.site, task.source or "-", report.message
            )
            self._subscriptions.fail(found.id, task.source or found.site, report.exit_code)

    def _cancel_if_unwanted(self, batch: str, task: Task) -> None:
        found = self._subscriptions.get(task.subscription_id)
        if found is None or found.status is Status.CANCELLED:
            self._backend.cancel(batch, [task.id])

    def _repair(self) -> None:
        """Begin again with what is marked as being worked on by nobody."""
        working = {task.subscription_id for task in self._tasks.listed()}
        lost = [
            found.id for found in self._subscriptions.of_status(Status.INBATCH) if found.id not in working
        ]
        self._subscriptions.set_status(lost, Status.NEW)

    def _forget_cancelled(self) -> None:
        working = {task.subscription_id for task in self._tasks.listed()}
        with transaction(self._database):
            cancelled = self._subscriptions.of_status(Status.CANCELLED)
            self._subscriptions.forget([found.id for found in cancelled if found.id not in working])

    def _start(self, is_deletion: bool) -> None:
        room = MAX_PENDING - self._backend.num_pending()
        if room <= 0:
            return
        busy = self._busy_files()
        chosen: list[tuple[Subscription, str]] = []
        for found in self._subscriptions.waiting(is_deletion, room):
            if (found.file, found.site) in busy:
                continue
            source = self._source_of(found)
            if source is not None:
                chosen.append((found, source))
        if not chosen:
            return
        tasks = [FileTask(found.id, found.file, source, found.site, found.size) for found, source in chosen]
        for group in self._backend.form_batches(tasks):
            self._start_batch(group)

    def _busy_files(self) -> set[tuple[str, str]]:
        """Files at sites that a task works on; nothing else is begun with them until it has ended."""
        busy = set()
        for task in self._tasks.listed():
            found = self._subscriptions.get(task.subscription_id)
            if found is not None:
                busy.add((found.file, found.site))
        return busy

    def _start_batch(self, group: Sequence[FileTask]) -> None:
        batch = secrets.token_hex(16)
        with transaction(self._database):
            tasks = [
                task._replace(id=self._tasks.add(task.id, task.source, batch))
                for task in group  # its id is the subscription's until here
            ]
            self._subscriptions.set_status([task.id for task in group], Status.INBATCH)
        try:
            self._backend.start(batch, tasks)
        except OperationalError as error:
            LOG.error("%s", error)  # the next round finds the batch unknown and begins again

    def _source_of(self, found: Subscription) -> str | None:
        """The source of a transfer, empty for a deletion; None when it is held or waits."""
        destination = self._inventory.sites.get(found.site)
        usable = destination is not None and self._backend.can_serve(found.site)
        if not usable or (not found.is_deletion and destination and destination.status != Site.STAT_READY):
            self._hold(found, "site_unavailable")
            return None
        failures = self._subscriptions.failures(found.id)
        if found.is_deletion:
            if len(failures) < MAX_DELETION_FAILURES:
                return ""
            self._hold(found, "all_failed")
            return None
        choice = choose_source(self._holders(found), failures, self._pick)
        if choice.source is None:
            self._hold(found, choice.hold_reason or "no_source")
        return choice.source

    def _hold(self, found: Subscription, reason: str) -> None:
        LOG.warning("File %s at %s is held: %s", found.file, found.site, reason)
        self._subscriptions.set_status([found.id], Status.HELD, reason)

    def _holders(self, found: Subscription) -> list[Site]:
        """Sites that have the file and that the back-end reaches."""
        name, _, block_name = found.block.partition("#")
        dataset = self._inventory.datasets.get(name)
        block = None if dataset is None else dataset.find_block(block_name)
        if block is None:
            return []
        holders = []
        for replica in block.replicas:
            if replica.site.name == found.site or not self._backend.can_serve(replica.site.name):
                continue
            if replica.is_complete():
                holders.append(replica.site)
            elif replica.file_ids:
                file = block.find_file(found.file)
                if file is not None and replica.has_file(file):
                    holders.append(replica.site)
        return holders
