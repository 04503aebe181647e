"""What this process has seen of the workloads on the machine.  Memory only: a new process looks anew."""

from __future__ import annotations

from dataclasses import dataclass

from gridtypes import WorkloadId
from zosd.engine.plan import Sight


@dataclass(slots=True)
class _Seen:
    sight: Sight = Sight.MISSING
    next_try: float = 0.0
    """Monotonic seconds."""
    told: str = ""
    """The reason that was last given for not acting."""


class Eyes:
    def __init__(self) -> None:
        self._seen: dict[WorkloadId, _Seen] = {}

    def sight(self, id: WorkloadId) -> Sight:
        """MISSING for what was never there."""
        seen = self._seen.get(id)
        return seen.sight if seen else Sight.MISSING

    def see(self, id: WorkloadId, sight: Sight) -> None:
        self._at(id).sight = sight

    def next_try(self, id: WorkloadId) -> float:
        """Monotonic time before which nothing is tried; 0 when nothing keeps it waiting."""
        seen = self._seen.get(id)
        return seen.next_try if seen else 0.0

    def wait_until(self, id: WorkloadId, moment: float) -> None:
        self._at(id).next_try = moment

    def told(self, id: WorkloadId) -> str:
        seen = self._seen.get(id)
        return seen.told if seen else ""

    def tell(self, id: WorkloadId, reason: str) -> None:
        self._at(id).told = reason

    def forget(self, id: WorkloadId) -> None:
        self._seen.pop(id, None)

    def _at(self, id: WorkloadId) -> _Seen:
        return self._seen.setdefault(id, _Seen())
