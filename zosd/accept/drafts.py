"""The changes of the journal that an accepted deploy or update makes.  Pure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from gridtypes import (
    Deployment,
    Name,
    Result,
    ResultState,
    UpgradeError,
    UpgradeOp,
    Workload,
    WorkloadId,
    WorkloadType,
)
from zosd.accept.refusal import Refusal
from zosd.capacity import Ask, ask
from zosd.journal.changes import (
    AddHistory,
    Change,
    DropDeployment,
    PutDeployment,
    PutJob,
    PutWorkload,
    SetPhase,
    SetWaitingUpdate,
)
from zosd.journal.records import DeploymentRecord, Job, Key, Phase, WaitingUpdate, WorkloadRecord

NULL = b"null"


@dataclass(frozen=True, slots=True)
class Draft:
    """What would be committed, and what it would take."""

    changes: tuple[Change, ...]
    asks: tuple[Ask, ...]


def key_of(deployment: Deployment) -> Key:
    return Key(deployment.twin_id, deployment.contract_id)


def hash_of(deployment: Deployment) -> str:
    """The challenge hash as it stands in a contract."""
    return deployment.challenge_hash().hex()


def header(deployment: Deployment) -> Deployment:
    """What is kept of a deployment beside its workloads; the expiration is not (node-api §3.4)."""
    return replace(deployment, workloads=(), expiration=0)


def deploy(
    deployment: Deployment, hash: str, phase: Phase, now: float, replaces: DeploymentRecord | None = None
) -> Draft:
    """A new deployment; `replaces` one that was refused after it had waited for the chain."""
    key = key_of(deployment)
    changes: list[Change] = [] if replaces is None else [DropDeployment(key)]
    changes.append(PutDeployment(DeploymentRecord(key, phase, header(deployment), hash, accepted=now)))
    for position, workload in enumerate(deployment.workloads):
        changes += _added(key, position, workload, now)
    changes.append(PutJob(key, Job("provision", now)))
    return Draft(tuple(changes), tuple(ask(workload) for workload in deployment.workloads))


def stored(record: DeploymentRecord) -> Deployment:
    """The deployment in the version that was accepted last, which is what an update is compared with."""
    return replace(
        record.header,
        workloads=tuple(
            (workload.newer or workload.definition).with_result(workload.result)
            for workload in record.workloads
            if not workload.leaving
        ),
    )


def operations(
    record: DeploymentRecord, deployment: Deployment, updatable: Callable[[WorkloadType], bool]
) -> list[UpgradeOp]:
    """The difference between what is stored and `deployment`.  Raises Refusal."""
    try:
        found = stored(record).upgrade(deployment)
    except UpgradeError as error:
        raise Refusal(f"{error}: upgrade validation error") from None
    for operation in found:
        if operation.op == "update" and not updatable(operation.workload.type):
            raise Refusal(
                f"workload '{operation.workload.type.value}' does not support upgrade: upgrade validation error"
            )
        old = record.workload(operation.workload.name)
        if operation.op == "add" and old is not None:
            raise Refusal(
                f"workload '{operation.workload.name}' is still being removed: "
                "wait until it is gone, or use another name"
            )
    return found


def update(
    record: DeploymentRecord, deployment: Deployment, hash: str, found: list[UpgradeOp], now: float
) -> Draft:
    """A new version of a stored deployment, whose contract has been checked."""
    key = record.key
    positions = {workload.name: position for position, workload in enumerate(deployment.workloads)}
    new = replace(record, header=header(deployment), hash=hash, accepted=now, update=None)
    changes: list[Change] = [PutDeployment(new)]
    asks: list[Ask] = []
    touched = set()
    for operation in found:
        workload = replace(operation.workload, result=Result())
        touched.add(workload.name)
        old = record.workload(workload.name)
        if operation.op == "add":
            changes += _added(key, positions[workload.name], workload, now)
            asks.append(ask(workload))
        elif operation.op == "update" and old is not None:
            changes.append(PutWorkload(key, replace(old, newer=workload, position=positions[workload.name])))
            asks.append(ask(workload, old.definition))
        elif operation.op == "remove" and old is not None:
            changes.append(PutWorkload(key, replace(old, leaving="deleted by an update")))
    for kept in record.workloads:
        position = positions.get(kept.name, kept.position)
        if kept.name not in touched and position != kept.position:
            changes.append(PutWorkload(key, replace(kept, position=position)))
    changes.append(PutJob(key, Job("update", now)))
    return Draft(tuple(changes), tuple(asks))


def hold_update(record: DeploymentRecord, deployment: Deployment, now: float) -> Draft:
    """An update that waits for the chain; what runs is not touched."""
    plain = tuple(workload.with_result(Result()) for workload in deployment.workloads)
    deployment = replace(deployment, workloads=plain)
    return Draft(
        (
            SetWaitingUpdate(record.key, WaitingUpdate(deployment, now)),
            PutJob(record.key, Job("update", now)),
        ),
        (),
    )


def found_good(record: DeploymentRecord) -> tuple[Change, ...]:
    """A waiting deployment whose contract fits."""
    told = tuple(
        PutWorkload(record.key, replace(workload, result=replace(workload.result, message="")))
        for workload in record.workloads
        if workload.result.message
    )
    return (SetPhase(record.key, Phase.ACTIVE), *told)


def found_bad(record: DeploymentRecord, message: str, now: float) -> tuple[Change, ...]:
    """A waiting deployment whose contract does not fit: shown as error, nothing was ever made."""
    changes: list[Change] = [SetPhase(record.key, Phase.REFUSED)]
    result = Result(created=int(now), state=ResultState.ERROR, message=message, data=NULL)
    for workload in record.workloads:
        new = replace(workload, result=result)
        changes += [PutWorkload(record.key, new), AddHistory(record.key, new.shown())]
    return tuple(changes)


def update_found_bad(record: DeploymentRecord, message: str, now: float) -> tuple[Change, ...]:
    """A waiting update whose contract does not fit: `unchanged` in the history, everything runs on."""
    changes: list[Change] = [SetWaitingUpdate(record.key, None)]
    assert record.update is not None
    for workload in record.update.deployment.workloads:
        old = record.workload(workload.name)
        result = Result(
            created=int(now),
            state=ResultState.UNCHANGED,
            message=message,
            data=old.result.data if old else NULL,
        )
        changes.append(AddHistory(record.key, workload.with_result(result)))
    return tuple(changes)


def explained(record: DeploymentRecord, message: str) -> tuple[Change, ...]:
    """Let a waiting deployment say what it waits for."""
    return tuple(
        PutWorkload(record.key, replace(workload, result=replace(workload.result, message=message)))
        for workload in record.workloads
        if workload.result.message != message
    )


def leave(record: DeploymentRecord, reason: str, now: float) -> tuple[Change, ...]:
    """The contract ended: everything has to go."""
    changes: list[Change] = [SetPhase(record.key, Phase.LEAVING)]
    if record.update is not None:
        changes.append(SetWaitingUpdate(record.key, None))
    changes += [
        PutWorkload(record.key, replace(workload, leaving=workload.leaving or reason))
        for workload in record.workloads
    ]
    changes.append(PutJob(record.key, Job("deprovision", now)))
    return tuple(changes)


def withdraw(record: DeploymentRecord, name: Name, reason: str, now: float) -> tuple[Change, ...]:
    """One workload has to go; nothing when it is not there or goes already."""
    workload = record.workload(name)
    if workload is None or workload.leaving:
        return ()
    return (
        PutWorkload(record.key, replace(workload, leaving=reason)),
        PutJob(record.key, Job("deprovision", now)),
    )


def _added(key: Key, position: int, workload: Workload, now: float) -> tuple[Change, Change]:
    result = Result(created=int(now), state=ResultState.INIT, message="", data=NULL)
    record = WorkloadRecord(
        id=WorkloadId(key.twin, key.contract, workload.name),
        position=position,
        # A copy would have to decode its data anew.
        definition=workload if workload.result.is_nil else replace(workload, result=Result()),
        result=result,
    )
    return PutWorkload(key, record), AddHistory(key, record.shown())
