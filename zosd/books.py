"""What has been promised to all deployments together, kept up to date with the ledger."""

from __future__ import annotations

from collections.abc import Iterable

from zosd.capacity import MACHINES, Ask, Booked, ask
from zosd.journal.ledger import Ledger
from zosd.journal.records import DeploymentRecord, Key, Phase, WorkloadRecord
from zosd.traits import traits


class Books:
    """Everything that is on the node or may come counts, whatever its state (engine §7 counts only what is `ok`).

    A workload that failed is tried again, and one that is being removed still lies there: neither's memory may be
    promised twice.
    """

    def __init__(self, ledger: Ledger) -> None:
        self._memory = 0
        self._machines = 0
        self._unsettled: set[Key] = set()
        self._ledger = ledger
        ledger.watch(self._seen)

    def booked(self, admitting: Iterable[Ask] = ()) -> Booked:
        """`admitting`: what was decided already but is not in the ledger yet."""
        asks = [
            asked
            for key in self._unsettled
            if (record := self._ledger.get(key)) is not None
            for workload in record.workloads
            if (asked := _unmade(workload)) is not None
        ]
        coming = list(admitting)
        return Booked(
            memory=self._memory + sum(one.memory for one in coming),
            machines=self._machines + sum(one.machines for one in coming),
            unmade_ssd=tuple(one.ssd for one in (*asks, *coming) if one.ssd),
            unmade_hdd=tuple(one.hdd for one in (*asks, *coming) if one.hdd),
        )

    def _seen(self, old: DeploymentRecord | None, new: DeploymentRecord | None) -> None:
        for record, sign in ((old, -1), (new, 1)):
            if record is None or record.phase is Phase.REFUSED:
                continue
            for workload in record.workloads:
                if workload.definition.type in MACHINES:
                    self._memory += sign * traits(workload.definition).capacity.mru
                    self._machines += sign
        if new is not None and new.phase is not Phase.REFUSED and new.job is not None:
            self._unsettled.add(new.key)
        elif (known := new or old) is not None:
            self._unsettled.discard(known.key)


def _unmade(workload: WorkloadRecord) -> Ask | None:
    """The disk space that this workload still has to get."""
    if workload.leaving:
        return None
    if not workload.healthy:
        return ask(workload.newer or workload.definition)
    return ask(workload.newer, workload.definition) if workload.newer else None
