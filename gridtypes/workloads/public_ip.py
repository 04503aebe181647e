"""Public addresses: `ip` and the deprecated `ipv4`."""

from __future__ import annotations

from typing import ClassVar

from gridtypes.capacity import Capacity
from gridtypes.errors import InvalidDeployment
from gridtypes.kinds import BOOL
from gridtypes.record import member, record
from gridtypes.workloads.data import Siblings, WorkloadData


@record
class PublicIP(WorkloadData):
    """A public address for one machine."""

    GO_TYPE: ClassVar = "PublicIP"

    v4: bool = member(BOOL)
    v6: bool = member(BOOL)

    def check(self, siblings: Siblings) -> None:
        if not self.v4 and not self.v6:
            raise InvalidDeployment("public ip workload with no selections")

    def capacity(self) -> Capacity:
        return Capacity(ipv4u=1 if self.v4 else 0)


@record
class PublicIP4(WorkloadData):
    """Deprecated form of `PublicIP(v4=True)`; has no fields."""

    GO_TYPE: ClassVar = "PublicIP4"

    def capacity(self) -> Capacity:
        return Capacity(ipv4u=1)
