"""The journal's content in memory.  Pure: no I/O, altered only by changes that are on disk already."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import replace

from gridtypes import Name, TwinId
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
from zosd.journal.records import DeploymentRecord, Key, WorkloadRecord
from zosd.traits import traits

Watcher = Callable[[DeploymentRecord | None, DeploymentRecord | None], None]
"""Called with a deployment's record before and after; None: there was, or is, none."""


_Index = dict[tuple[TwinId, Name], set[Key]]


class Ledger:
    """All deployments and notes."""

    def __init__(self) -> None:
        self._deployments: dict[Key, DeploymentRecord] = {}
        self._by_twin: dict[TwinId, set[Key]] = {}
        self._notes: dict[str, bytes] = {}
        self._watchers: list[Watcher] = []
        self._owners: _Index = {}
        self._users: _Index = {}

    def watch(self, watcher: Watcher) -> None:
        """Let `watcher` see every replacement of a record, those that are there already first."""
        self._watchers.append(watcher)
        for record in self._deployments.values():
            watcher(None, record)

    def restore(self, deployments: Iterable[DeploymentRecord], notes: Mapping[str, bytes]) -> None:
        """Take over what the file holds."""
        for record in deployments:
            self._put(record)
        self._notes.update(notes)

    def get(self, key: Key) -> DeploymentRecord | None:
        return self._deployments.get(key)

    def all(self) -> list[DeploymentRecord]:
        """All deployments, by twin and contract.  Other threads may ask, too: they get one moment's."""
        return sorted(self._deployments.values(), key=lambda record: record.key)

    def __len__(self) -> int:
        return len(self._deployments)

    def of_twin(self, twin: TwinId) -> list[DeploymentRecord]:
        """The twin's deployments, by contract."""
        return [self._deployments[key] for key in sorted(self._by_twin.get(twin, ()))]

    def workloads(self) -> Iterator[WorkloadRecord]:
        """Every workload on the node, whatever its state."""
        for record in self._deployments.values():
            yield from record.workloads

    def owners_of(self, twin: TwinId, name: Name) -> list[DeploymentRecord]:
        """Deployments of the twin that have a network of this name; more than one only while one waits."""
        return self._indexed(self._owners, twin, name)

    def users_of(self, twin: TwinId, name: Name) -> list[DeploymentRecord]:
        """Deployments of the twin that need something of this name and have nothing of their own by it."""
        return self._indexed(self._users, twin, name)

    def _indexed(self, index: _Index, twin: TwinId, name: Name) -> list[DeploymentRecord]:
        return [self._deployments[key] for key in sorted(index.get((twin, name), ()))]

    def note(self, name: str) -> bytes | None:
        return self._notes.get(name)

    def notes(self, prefix: str) -> dict[str, bytes]:
        """All notes whose name begins with `prefix`."""
        return {name: value for name, value in self._notes.items() if name.startswith(prefix)}

    def apply(self, changes: Changes) -> None:
        for change in changes:
            self._apply(change)

    def _apply(self, change: Change) -> None:
        match change:
            case PutDeployment(record):
                known = self._deployments.get(record.key)
                workloads = known.workloads if known else ()
                job = known.job if known else None
                self._put(replace(record, workloads=workloads, job=job))
            case DropDeployment(key):
                gone = self._deployments.pop(key, None)
                if gone is not None:
                    self._tell(gone, None)
                    self._by_twin[key.twin].discard(key)
                    if not self._by_twin[key.twin]:
                        del self._by_twin[key.twin]
            case SetPhase(key, phase):
                self._put(replace(self._deployments[key], phase=phase))
            case SetPaused(key, paused):
                self._put(replace(self._deployments[key], paused=paused))
            case SetWaitingUpdate(key, update):
                self._put(replace(self._deployments[key], update=update))
            case PutWorkload(key, workload):
                record = self._deployments[key]
                others = tuple(other for other in record.workloads if other.name != workload.name)
                ordered = sorted((*others, workload), key=lambda item: item.position)
                self._put(replace(record, workloads=tuple(ordered)))
            case DropWorkload(key, name):
                record = self._deployments[key]
                kept = tuple(other for other in record.workloads if other.name != name)
                self._put(replace(record, workloads=kept))
            case PutJob(key, job):
                record = self._deployments[key]
                since = record.job.since if record.job else job.since
                self._put(replace(record, job=replace(job, since=since)))
            case DropJob(key):
                self._put(replace(self._deployments[key], job=None))
            case PutNote(name, value):
                if value is None:
                    self._notes.pop(name, None)
                else:
                    self._notes[name] = value
            case AddHistory():
                pass  # history stays on disk

    def _put(self, record: DeploymentRecord) -> None:
        old = self._deployments.get(record.key)
        self._deployments[record.key] = record
        self._by_twin.setdefault(record.key.twin, set()).add(record.key)
        self._tell(old, record)

    def _tell(self, old: DeploymentRecord | None, new: DeploymentRecord | None) -> None:
        _reindex(self._owners, old, new, _shared_names)
        _reindex(self._users, old, new, _foreign_needs)
        for watcher in self._watchers:
            watcher(old, new)


def _shared_names(record: DeploymentRecord) -> set[Name]:
    return {workload.name for workload in record.workloads if workload.definition.type.sharable}


def _foreign_needs(record: DeploymentRecord) -> set[Name]:
    needs = {name for workload in record.workloads for name in traits(workload.definition).needs}
    return needs - {workload.name for workload in record.workloads}


def _reindex(
    index: _Index,
    old: DeploymentRecord | None,
    new: DeploymentRecord | None,
    names: Callable[[DeploymentRecord], set[Name]],
) -> None:
    before = names(old) if old else set()
    after = names(new) if new else set()
    if old is not None:
        for name in before - after:
            keys = index[(old.key.twin, name)]
            keys.discard(old.key)
            if not keys:
                del index[(old.key.twin, name)]
    if new is not None:
        for name in after - before:
            index.setdefault((new.key.twin, name), set()).add(new.key)
