"""Operations on single files: transfers and deletions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self


class TaskState(StrEnum):
    """How far a back-end has come with a task."""

    NEW = "new"
    QUEUED = "queued"
    ACTIVE = "active"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_final(self) -> bool:
        """Will it stay like this?"""
        return self in (TaskState.DONE, TaskState.FAILED, TaskState.CANCELLED)


@dataclass(slots=True)
class Operation:
    """What transfers and deletions have.

    `rid` is the number in history, `source` the site that the file comes from, or leaves; `size` is in bytes,
    `created`, `start` and `end` are Unix seconds (-1: it never began), `ecode` is 0 or an errno.
    """

    rid: int = 0
    lfn: str = ""
    source: str = ""
    status: TaskState = TaskState.NEW
    created: int = 0
    start: int = -1
    end: int = -1
    size: int = 0
    ecode: int = 0

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """An operation from an answer of the registry.

        Raises KeyError when the row lacks something, ValueError for an unknown status.
        """
        return cls(
            rid=row["id"],
            lfn=row["file"],
            source=row["site"],
            status=TaskState(row["status"]),
            created=row["created"],
            start=-1 if row["started"] is None else row["started"],
            end=-1 if row["finished"] is None else row["finished"],
            size=row["size"],
            ecode=row["exit_code"],
        )

    def __str__(self) -> str:
        return (
            f"(id: {self.rid}) {self.lfn} {self.size} {self.created} {self.start} {self.end} {self.source}"
            f" {self.status}"
        )


class Deletion(Operation):
    """A file that left, or was to leave, the site `source`."""

    __slots__ = ()


@dataclass(slots=True)
class Transfer(Operation):
    """A file that came, or was to come, from `source` to `target`."""

    target: str = ""

    @classmethod
    def from_row(cls, row: Mapping[str, Any]) -> Self:
        """An operation from an answer of the registry.

        Raises KeyError when the row lacks something, ValueError for an unknown status.
        """
        made = super(Transfer, cls).from_row(row)
        made.source, made.target = row["source"], row["site"]
        return made

    def __str__(self) -> str:
        return f"{Operation.__str__(self)} to target: {self.target}"
