"""Every alteration of the journal as data: applied to memory by `Ledger`, to disk by `Store`."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gridtypes import Name, Workload
from zosd.journal.records import DeploymentRecord, Job, Key, Phase, WaitingUpdate, WorkloadRecord


@dataclass(frozen=True, slots=True)
class PutDeployment:
    """Insert or replace a deployment's own fields; its workloads and job are put by changes of their own."""

    record: DeploymentRecord


@dataclass(frozen=True, slots=True)
class SetPhase:
    key: Key
    phase: Phase


@dataclass(frozen=True, slots=True)
class SetPaused:
    key: Key
    paused: bool


@dataclass(frozen=True, slots=True)
class SetWaitingUpdate:
    key: Key
    update: WaitingUpdate | None


@dataclass(frozen=True, slots=True)
class DropDeployment:
    """Forget a deployment with its workloads, history and job."""

    key: Key


@dataclass(frozen=True, slots=True)
class PutWorkload:
    key: Key
    record: WorkloadRecord


@dataclass(frozen=True, slots=True)
class DropWorkload:
    key: Key
    name: Name


@dataclass(frozen=True, slots=True)
class AddHistory:
    """Append one transaction: the complete workload with its result at that moment."""

    key: Key
    workload: Workload


@dataclass(frozen=True, slots=True)
class PutJob:
    """Record that there is something to do; an older job of the deployment keeps its age."""

    key: Key
    job: Job


@dataclass(frozen=True, slots=True)
class DropJob:
    key: Key


@dataclass(frozen=True, slots=True)
class PutNote:
    """A small named value of the node itself: its ids, the chain cursor, known keys of twins."""

    name: str
    value: bytes | None
    """None forgets the note."""


Change = (
    PutDeployment
    | SetPhase
    | SetPaused
    | SetWaitingUpdate
    | DropDeployment
    | PutWorkload
    | DropWorkload
    | AddHistory
    | PutJob
    | DropJob
    | PutNote
)

Changes = Sequence[Change]
