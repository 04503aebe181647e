"""What a back-end of file operations does.

The one thing that varies: local folders here, a transfer service elsewhere.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, Protocol

from dynamo.dataformat.fileop import TaskState


class FileTask(NamedTuple):
    """One file to copy from `source`, or to delete when that is empty.  `size` in bytes."""

    id: int
    file: str
    source: str
    site: str
    size: int


class Report(NamedTuple):
    """What became of a task.  `exit_code` is 0, or an errno; times in Unix seconds."""

    task: int
    state: TaskState
    exit_code: int = 0
    message: str = ""
    started: int | None = None
    finished: int | None = None


class Backend(Protocol):
    """Works on batches of tasks in the background.  Names of batches are chosen by the caller.

    Every method returns at once.  A batch is started once; what became of it is known until `forget`.
    """

    def can_serve(self, site: str) -> bool:
        """Does it reach this site?"""

    def form_batches(self, tasks: Sequence[FileTask]) -> list[list[FileTask]]:
        """Put tasks together that are started together."""

    def start(self, batch: str, tasks: Sequence[FileTask]) -> None:
        """Begin with a batch.  Raises OperationalError when it cannot; nothing is done then."""

    def cancel(self, batch: str, tasks: Sequence[int]) -> None:
        """Do not begin with what has not begun."""

    def num_pending(self) -> int:
        """How many tasks have not ended."""

    def reports(self, batch: str) -> list[Report] | None:
        """What became of a batch so far; None for an unknown one, whose tasks may be started again."""

    def forget(self, batch: str) -> None:
        """Drop what is known about a batch that has ended."""

    def cleanup(self) -> None:
        """Drop what is left over from batches that nobody asks for."""
