"""What the journal keeps of a deployment."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from gridtypes import ContractId, Deployment, Name, Result, ResultState, TwinId, Workload, WorkloadId


class Key(NamedTuple):
    """A deployment is known by its owner and its contract."""

    twin: TwinId
    contract: ContractId

    def __str__(self) -> str:
        return f"{self.twin}-{self.contract}"


class Phase(StrEnum):
    WAITING = "waiting"
    """Accepted while the chain could not be reached; the contract is not checked yet and nothing is made."""
    REFUSED = "refused"
    """Was waiting, and the contract turned out not to fit.  Nothing was ever made."""
    ACTIVE = "active"
    LEAVING = "leaving"
    """The contract ended; everything is being removed, the record goes last."""


@dataclass(frozen=True, slots=True)
class WorkloadRecord:
    """One workload: its definition, the result that counts now, and what is still to be done to it."""

    id: WorkloadId
    position: int
    """Place in the deployment as the client sent it."""
    definition: Workload
    """The version that is (or is to be) installed, without result."""
    result: Result
    newer: Workload | None = None
    """The version that an accepted update asks for, until it was tried."""
    leaving: str = ""
    """Why it has to go; "" while it stays."""
    half_changed: bool = False
    """An update failed after it had begun; `definition` has to be ensured once more."""
    attempts: int = 0
    """Failures in a row."""

    @property
    def name(self) -> Name:
        return self.id.name

    @property
    def healthy(self) -> bool:
        """Counts as used capacity (engine §4.5)."""
        return self.result.state in (ResultState.OK, ResultState.PAUSED)

    def shown(self) -> Workload:
        """The workload as `get` shows it."""
        return self.definition.with_result(self.result)


@dataclass(frozen=True, slots=True)
class WaitingUpdate:
    """An update that was accepted while the chain could not be reached."""

    deployment: Deployment
    received: float


@dataclass(frozen=True, slots=True)
class Job:
    """The promise to bring a deployment to its goal; gone when it is there."""

    kind: str
    since: float
    """Seconds since 1970."""


@dataclass(frozen=True, slots=True)
class DeploymentRecord:
    key: Key
    phase: Phase
    header: Deployment
    """The accepted deployment without its workloads."""
    hash: str
    """Hex of the challenge hash that was accepted."""
    accepted: float
    """Seconds since 1970."""
    paused: bool = False
    """The contract is in its grace period."""
    workloads: tuple[WorkloadRecord, ...] = ()
    update: WaitingUpdate | None = None
    job: Job | None = None

    def workload(self, name: Name) -> WorkloadRecord | None:
        return next((record for record in self.workloads if record.name == name), None)

    @property
    def checked(self) -> bool:
        return self.phase in (Phase.ACTIVE, Phase.LEAVING)

    @property
    def healthy(self) -> Iterator[WorkloadRecord]:
        return (record for record in self.workloads if record.healthy)

    def deployment(self) -> Deployment:
        """The deployment as `get` shows it: current definitions and results, in the client's order."""
        return replace(self.header, workloads=tuple(record.shown() for record in self.workloads))
