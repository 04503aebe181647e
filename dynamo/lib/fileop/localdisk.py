"""Sites that are folders of this machine."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from dynamo.dataformat import OperationalError
from dynamo.dataformat.fileop import TaskState
from dynamo.fileop.backend import FileTask, Report

LOG = logging.getLogger(__name__)

BATCH_TASKS = 100
"""Most files in one batch."""
OLD_S = 7 * 86400
"""How long batches are kept that nobody asks for, in seconds."""

_BATCH = re.compile(r"[0-9a-f]{1,32}")


class LocalDisk:
    """Copies and deletes files between folders, each batch by a process of its own.

    A folder has to hold the marker of `dynamo.fileop.rooted`.  What a batch did lies in `spool`, so a server that
    comes back finds it there.
    """

    def __init__(self, roots: Mapping[str, str], spool: Path) -> None:
        """`roots` are folders by name of site."""
        self._roots = dict(roots)
        self._spool = spool
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._counts: dict[str, int] = {}

    def can_serve(self, site: str) -> bool:
        """Is there a folder for this site?"""
        return site in self._roots

    def form_batches(self, tasks: Sequence[FileTask]) -> list[list[FileTask]]:
        """Tasks of the same source and site, some at a time."""
        groups: dict[tuple[str, str], list[FileTask]] = {}
        for task in tasks:
            groups.setdefault((task.source, task.site), []).append(task)
        return [
            group[begin : begin + BATCH_TASKS]
            for group in groups.values()
            for begin in range(0, len(group), BATCH_TASKS)
        ]

    def start(self, batch: str, tasks: Sequence[FileTask]) -> None:
        """Begin with a batch.  Raises OperationalError when it cannot; nothing is done then."""
        folder = self._folder(batch)
        try:
            (folder / "cancelled").mkdir(mode=0o700, parents=True)
            wanted = {"roots": self._roots, "tasks": [task._asdict() for task in tasks]}
            (folder / "batch.json").write_text(json.dumps(wanted))
            # The process inherits the lock, so that it shows to every later server how long the batch is worked on.
            with (folder / "log").open("ab") as log, (folder / "lock").open("wb") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                self._processes[batch] = subprocess.Popen(
                    [sys.executable, "-m", "dynamo.fileop.mover", str(folder)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,
                    pass_fds=(lock.fileno(),),
                )
        except OSError as error:
            raise OperationalError(f"Batch {batch} could not be started: {error}") from None
        self._counts[batch] = len(tasks)

    def cancel(self, batch: str, tasks: Sequence[int]) -> None:
        """Do not begin with what has not begun."""
        folder = self._folder(batch) / "cancelled"
        for task in tasks if folder.exists() else ():
            (folder / str(task)).touch()

    def num_pending(self) -> int:
        """How many tasks have not ended."""
        return sum(
            1
            for batch in list(self._counts)
            for report in self.reports(batch) or ()
            if not report.state.is_final
        )

    def reports(self, batch: str) -> list[Report] | None:
        """What became of a batch so far; None for an unknown one."""
        folder = self._folder(batch)
        try:
            tasks = [task["id"] for task in json.loads((folder / "batch.json").read_text())["tasks"]]
        except (OSError, ValueError):
            return None
        runs = self._runs(batch)  # asked first: what was reported before the end is there afterwards
        try:
            lines = (folder / "reports").read_text().splitlines()
        except FileNotFoundError:
            lines = []
        found = {report.task: report for report in map(_read, lines) if report is not None}
        unknown = (
            (TaskState.ACTIVE, 0, "")
            if runs
            else (TaskState.FAILED, os.EX_SOFTWARE, "The process of the batch ended before")
        )
        return [found.get(task) or Report(task, *unknown) for task in tasks]

    def _runs(self, batch: str) -> bool:
        process = self._processes.get(batch)
        if process is not None:
            return process.poll() is None
        try:
            with (self._folder(batch) / "lock").open("rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        except OSError:
            return False
        return False

    def forget(self, batch: str) -> None:
        """Drop what is known about a batch that has ended."""
        process = self._processes.pop(batch, None)
        if process is not None and process.poll() is None:
            process.kill()
            process.wait()
        self._counts.pop(batch, None)
        shutil.rmtree(self._folder(batch), ignore_errors=True)

    def cleanup(self) -> None:
        """Drop what is left over from batches that nobody asks for."""
        for folder in self._spool.iterdir() if self._spool.is_dir() else ():
            known = _BATCH.fullmatch(folder.name) and folder.name not in self._processes
            if known and folder.stat().st_mtime < time.time() - OLD_S:
                shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """End all processes; what they have not done will be started again."""
        for process in self._processes.values():
            if process.poll() is None:
                process.kill()
            process.wait()
        self._processes.clear()

    def _folder(self, batch: str) -> Path:
        if not _BATCH.fullmatch(batch):
            raise OperationalError(f"{batch!r} is no name of a batch")
        return self._spool / batch


def _read(line: str) -> Report | None:
    try:
        value = json.loads(line)
        return Report(**{**value, "state": TaskState(value["state"])})
    except (ValueError, TypeError, KeyError):
        LOG.warning("A report of the mover cannot be read: %.200s", line)
        return None
