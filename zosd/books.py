"""What has been promised to all deployments together, kept up to date with the ledger."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from gridtypes import Capacity, WorkloadId
from zosd.capacity import MACHINES, Ask, Booked, ask
from zosd.journal.ledger import Ledger
from zosd.journal.records import DeploymentRecord, Phase, WorkloadRecord
from zosd.traits import traits

UNITS = ("cru", "sru", "hru", "mru", "ipv4u")


class Books:
    """Promises count whatever their state, while the statistics count what is `ok` or `paused` (engine §7).

    A workload that failed is tried again, and one that is being removed still lies there: neither's memory may be
    promised twice.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._memory = 0
        self._machines = 0
        self._used: Counter[str] = Counter()
        self._unmade: dict[WorkloadId, Ask] = {}
        ledger.watch(self._seen)

    @property
    def used(self) -> Capacity:
        """What healthy workloads use."""
        return Capacity(**{unit: self._used[unit] for unit in UNITS})

    def unmade(self) -> dict[WorkloadId, Ask]:
        """Disk space that still has to be taken from the pools."""
        return dict(self._unmade)

    def booked(self, admitting: Iterable[Ask] = (), before: Mapping[WorkloadId, Ask] | None = None) -> Booked:
        """Everything that is promised.

        `admitting`: what was decided already but is not in the ledger yet.  `before`: `unmade` as it was before
        the pools were looked at, so that what was made since then is not counted as free.
        """
        coming = list(admitting)
        return Booked(
            memory=self._memory + sum(one.memory for one in coming),
            machines=self._machines + sum(one.machines for one in coming),
            unmade=(*{**(before or {}), **self._unmade}.values(), *coming),
        )

    def _seen(self, old: DeploymentRecord | None, new: DeploymentRecord | None) -> None:
        before = {one.id: one for one in old.workloads} if old and old.phase is not Phase.REFUSED else {}
        after = {one.id: one for one in new.workloads} if new and new.phase is not Phase.REFUSED else {}
        for id in before.keys() | after.keys():
            if before.get(id) is not after.get(id):
                self._count(before.get(id), -1)
                self._count(after.get(id), 1)

    def _count(self, workload: WorkloadRecord | None, sign: int) -> None:
        if workload is None:
            return
        capacity = traits(workload.definition).capacity
        if workload.definition.type in MACHINES:
            self._memory += sign * capacity.mru
            self._machines += sign
        if workload.healthy:
            for unit in UNITS:
                self._used[unit] += sign * getattr(capacity, unit)
        missing = _unmade(workload)
        if sign < 0:
            self._unmade.pop(workload.id, None)
        elif missing is not None and (missing.ssd or missing.hdd):
            self._unmade[workload.id] = missing


def _unmade(workload: WorkloadRecord) -> Ask | None:
    """The disk space that this workload still has to get."""
    if workload.leaving:
        return None
    if not workload.healthy:
        return ask(workload.newer or workload.definition)
    return ask(workload.newer, workload.definition) if workload.newer else None
