"""What policies have copied and deleted."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, ClassVar, NamedTuple


class CopiedReplica(NamedTuple):
    """A dataset that was copied."""

    dataset_name: str


class DeletedReplica(NamedTuple):
    """A dataset that was deleted, or some of its blocks."""

    dataset_name: str


class HistoryRecord:
    """What one operation did at one site.

    `timestamp` is when it began, in Unix seconds, and `size` what it moved or deleted, in bytes.
    """

    __slots__ = (
        "approved",
        "completed",
        "last_update",
        "operation_id",
        "operation_type",
        "replicas",
        "site_name",
        "size",
        "timestamp",
    )

    OP_COPY: ClassVar[int] = 0
    OP_DELETE: ClassVar[int] = 1

    CopiedReplica: ClassVar[type[CopiedReplica]] = CopiedReplica
    DeletedReplica: ClassVar[type[DeletedReplica]] = DeletedReplica

    def __init__(
        self,
        operation_type: int,
        operation_id: int,
        site_name: str,
        timestamp: int = 0,
        approved: bool = False,
        size: int = 0,
        completed: bool = False,
        last_update: int = 0,
    ) -> None:
        self.operation_type = operation_type
        self.operation_id = operation_id
        self.site_name = site_name
        self.timestamp = timestamp
        self.approved = bool(approved)
        self.size = size
        self.completed = bool(completed)
        self.last_update = last_update
        self.replicas: list[CopiedReplica | DeletedReplica] = []

    @property
    def _word(self) -> str:
        return "COPY" if self.operation_type == self.OP_COPY else "DELETE"

    def __str__(self) -> str:
        return (
            f"HistoryRecord ({self._word}, id={self.operation_id}, site={self.site_name},"
            f" timestamp={self.timestamp}, approved={self.approved})"
        )

    def __repr__(self) -> str:
        return f"HistoryRecord(OP_{self._word}, {self.operation_id}, {self.site_name})"


_DECISIONS = {"copy": HistoryRecord.OP_COPY, "delete": HistoryRecord.OP_DELETE}


def history_records(cycle: Mapping[str, Any], decisions: Iterable[Mapping[str, Any]]) -> list[HistoryRecord]:
    """What a cycle did, by site and kind, from the registry's rows of it and its decisions.

    What was decided is approved; it is completed by file operations, of which a cycle knows nothing.
    """
    records: dict[tuple[str, int], HistoryRecord] = {}
    for decision in decisions:
        operation = _DECISIONS.get(decision["decision"])
        if operation is None:
            continue
        site, started = decision["site"], cycle["started"]
        record = records.setdefault(
            (site, operation),
            HistoryRecord(operation, cycle["cycle"], site, started, approved=True, last_update=started),
        )
        record.size += decision["size"]
        made = CopiedReplica if operation == HistoryRecord.OP_COPY else DeletedReplica
        replica = made(decision["dataset"])
        if replica not in record.replicas[-1:]:
            record.replicas.append(replica)
    return [record for _, record in sorted(records.items())]
