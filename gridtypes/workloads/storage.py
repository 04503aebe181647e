"""Disks and namespaces: `zmount`, `volume`, `zdb`."""

from __future__ import annotations

from typing import ClassVar

from gridtypes.capacity import Capacity
from gridtypes.errors import InvalidDeployment
from gridtypes.kinds import BOOL, TEXT, U64
from gridtypes.record import member, record
from gridtypes.workloads.data import Siblings, WorkloadData

ZDB_MODES = ("user", "seq")


@record
class ZMount(WorkloadData):
    """A disk on SSD."""

    GO_TYPE: ClassVar = "ZMount"

    size: int = member(U64)
    """Bytes."""

    def check(self, siblings: Siblings) -> None:
        _check_size(self.size)

    def capacity(self) -> Capacity:
        return Capacity(sru=self.size)


@record
class Volume(WorkloadData):
    """A shared directory on SSD."""

    GO_TYPE: ClassVar = "Volume"

    size: int = member(U64)
    """Bytes."""

    def check(self, siblings: Siblings) -> None:
        _check_size(self.size)

    def capacity(self) -> Capacity:
        return Capacity(sru=self.size)


@record
class ZDB(WorkloadData):
    """A namespace of a key-value store on HDD."""

    GO_TYPE: ClassVar = "ZDB"

    size: int = member(U64)
    """Bytes."""
    mode: str = member(TEXT)
    password: str = member(TEXT)
    public: bool = member(BOOL)

    def check(self, siblings: Siblings) -> None:
        _check_size(self.size)
        if self.mode not in ZDB_MODES:
            raise InvalidDeployment("invalid mode")

    def capacity(self) -> Capacity:
        return Capacity(hru=self.size)


def _check_size(size: int) -> None:
    if size == 0:
        raise InvalidDeployment("invalid size")
