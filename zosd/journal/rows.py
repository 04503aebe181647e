"""Records and changes as rows of the journal's tables."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import replace

from gridtypes import ContractId, Deployment, Result, TwinId, Workload, WorkloadId
from zosd.journal.changes import (
    AddHistory,
    Change,
    Changes,
    DropDeployment,
    DropJob,
    DropWorkload,
    PutDeployment,
    PutJob,
    PutNote,
    PutWorkload,
    SetPaused,
    SetPhase,
    SetWaitingUpdate,
)
from zosd.journal.records import DeploymentRecord, Job, Key, Phase, WaitingUpdate, WorkloadRecord


def load(connection: sqlite3.Connection) -> tuple[list[DeploymentRecord], dict[str, bytes]]:
    """Everything but the history."""
    workloads: dict[Key, list[WorkloadRecord]] = {}
    rows: Iterable[tuple[int, int, int, bytes, bytes | None, str, int, int]] = connection.execute(
        "SELECT twin, contract, position, definition, newer, leaving, half_changed, attempts FROM workload"
        " ORDER BY twin, contract, position"
    )
    for twin, contract, position, definition, newer, leaving, half_changed, attempts in rows:
        key = _key(twin, contract)
        shown = Workload.from_json(definition)
        workloads.setdefault(key, []).append(
            WorkloadRecord(
                id=WorkloadId(key.twin, key.contract, shown.name),
                position=position,
                definition=shown.with_result(Result()),
                result=shown.result,
                newer=None if newer is None else Workload.from_json(newer).with_result(Result()),
                leaving=leaving,
                half_changed=bool(half_changed),
                attempts=attempts,
            )
        )
    deployments = [
        DeploymentRecord(
            key=(key := _key(twin, contract)),
            phase=Phase(phase),
            header=Deployment.from_json(header),
            hash=hash,
            accepted=accepted,
            paused=bool(paused),
            workloads=tuple(workloads.get(key, ())),
            update=None if raw is None else WaitingUpdate(without_results(raw), received),
            job=None if job is None else Job(job, since),
        )
        for twin, contract, phase, header, hash, accepted, paused, raw, received, job, since in (
            connection.execute(
                "SELECT twin, contract, phase, header, hash, accepted, paused, next_update, next_received,"
                " job, job_since FROM deployment"
            )
        )
    ]
    return deployments, dict(connection.execute("SELECT name, value FROM note"))


def history(connection: sqlite3.Connection, key: Key) -> list[Workload]:
    """The transactions of a deployment, oldest first."""
    rows = connection.execute(
        "SELECT workload FROM history WHERE twin = ? AND contract = ? ORDER BY seq", _numbers(key)
    )
    return [Workload.from_json(raw) for (raw,) in rows]


def write(connection: sqlite3.Connection, changes: Changes) -> None:
    for change in changes:
        _write(connection, change)


def _write(connection: sqlite3.Connection, change: Change) -> None:
    match change:
        case PutDeployment(record):
            _put_deployment(connection, record)
        case SetPhase(key, phase):
            _set(connection, key, "phase = ?", phase.value)
        case SetPaused(key, paused):
            _set(connection, key, "paused = ?", int(paused))
        case SetWaitingUpdate(key, update):
            raw, received = (None, None) if update is None else (update.deployment.to_json(), update.received)
            _set(connection, key, "next_update = ?, next_received = ?", raw, received)
        case DropDeployment(key):
            connection.execute("DELETE FROM deployment WHERE twin = ? AND contract = ?", _numbers(key))
        case PutWorkload(key, workload):
            _put_workload(connection, key, workload)
        case DropWorkload(key, name):
            connection.execute(
                "DELETE FROM workload WHERE twin = ? AND contract = ? AND name = ?", (*_numbers(key), name)
            )
        case AddHistory(key, shown):
            connection.execute(
                "INSERT INTO history SELECT ?1, ?2, COALESCE(MAX(seq), 0) + 1, ?3 FROM history"
                " WHERE twin = ?1 AND contract = ?2",
                (*_numbers(key), shown.to_json()),
            )
        case PutJob(key, job):
            # An older job keeps its age: it tells how long the goal has not been reached.
            _set(connection, key, "job = ?, job_since = COALESCE(job_since, ?)", job.kind, job.since)
        case DropJob(key):
            _set(connection, key, "job = NULL, job_since = NULL")
        case PutNote(name, None):
            connection.execute("DELETE FROM note WHERE name = ?", (name,))
        case PutNote(name, value):
            connection.execute("INSERT OR REPLACE INTO note VALUES (?, ?)", (name, value))


def without_results(raw: bytes) -> Deployment:
    """A deployment as its client meant it: what he sent as results does not count."""
    deployment = Deployment.from_json(raw)
    return replace(
        deployment, workloads=tuple(workload.with_result(Result()) for workload in deployment.workloads)
    )


def _put_deployment(connection: sqlite3.Connection, record: DeploymentRecord) -> None:
    update = record.update
    connection.execute(
        "INSERT INTO deployment (twin, contract, phase, header, hash, accepted, paused, next_update,"
        " next_received) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO UPDATE SET phase = excluded.phase, header = excluded.header, hash = excluded.hash,"
        " accepted = excluded.accepted, paused = excluded.paused, next_update = excluded.next_update,"
        " next_received = excluded.next_received",
        (
            *_numbers(record.key),
            record.phase.value,
            record.header.to_json(),
            record.hash,
            record.accepted,
            int(record.paused),
            None if update is None else update.deployment.to_json(),
            None if update is None else update.received,
        ),
    )


def _put_workload(connection: sqlite3.Connection, key: Key, workload: WorkloadRecord) -> None:
    connection.execute(
        "INSERT OR REPLACE INTO workload VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            *_numbers(key),
            workload.name,
            workload.position,
            workload.shown().to_json(),
            None if workload.newer is None else workload.newer.to_json(),
            workload.leaving,
            int(workload.half_changed),
            workload.attempts,
        ),
    )


def _set(connection: sqlite3.Connection, key: Key, assignment: str, *values: object) -> None:
    connection.execute(
        f"UPDATE deployment SET {assignment} WHERE twin = ? AND contract = ?", (*values, *_numbers(key))
    )


def _numbers(key: Key) -> tuple[int, int]:
    """SQLite's integers are signed; contract ids go up to 2^64 - 1."""
    contract = int(key.contract)
    return int(key.twin), contract - 2**64 if contract >= 2**63 else contract


def _key(twin: int, contract: int) -> Key:
    return Key(TwinId(twin), ContractId(contract % 2**64))
