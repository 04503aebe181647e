"""What the owner file of a machine holds: enough to find it again, and to take it away.  Pure."""

from __future__ import annotations

import secrets
from dataclasses import asdict, dataclass
from typing import Any

from gridtypes import WorkloadId
from gridtypes.results import ZMachineResult
from provisioners.protocol import OwnerFile
from provisioners.zmachine.specification import Specification

PROTOCOL = 1
"""Version of this record and of how its processes are run (decision 63)."""

USER_BASE = 1_900_000_000
USER_COUNT = 1 << 24
"""Numeric users of our own (decision 45), above every range that distributions hand out.  One for each machine."""


class UnknownProtocol(Exception):
    """The machine was started by another version of the daemon, in a way that this one does not know."""


@dataclass(frozen=True, slots=True)
class MachineRecord:
    """One machine on this node."""

    protocol: int
    id: str
    user: int
    """Numeric user and group of its QEMU."""
    group: str
    """Name of its control group; carries a random part, as groups are host-wide and nodes may share a host."""
    network: str
    address: str
    public_ip: str | None
    planetary: bool
    shares: int
    """How many virtiofsd it has."""
    paused: bool = False
    result: dict[str, str] | None = None
    """Result data once it was started."""

    @classmethod
    def new(cls, wanted: Specification) -> MachineRecord:
        token = secrets.token_hex(4)
        return cls(
            protocol=PROTOCOL,
            id=str(wanted.id),
            user=USER_BASE + secrets.randbelow(USER_COUNT),
            group=f"vm-{wanted.id.unique('vm')}-{token}",
            network=wanted.network,
            address=str(wanted.address),
            public_ip=str(wanted.public_ip) if wanted.public_ip else None,
            planetary=wanted.planetary,
            shares=1,
        )

    @classmethod
    def read(cls, owner: OwnerFile) -> MachineRecord | None:
        """None when there is no owner file.  Raises UnknownProtocol, or ValueError for a damaged file."""
        raw = owner.read()
        if raw is None:
            return None
        protocol = raw.get("protocol")
        if protocol != PROTOCOL:
            raise UnknownProtocol(
                f"{owner.path.stem} runs under protocol {protocol}, this version knows {PROTOCOL}; it is left running"
            )
        try:
            return cls(**raw)
        except TypeError as error:
            raise ValueError(f"owner file {owner.path} is not that of a machine: {error}") from error

    def write(self, owner: OwnerFile) -> None:
        record: dict[str, Any] = asdict(self)
        owner.write(record)

    @property
    def workload(self) -> WorkloadId:
        return WorkloadId.parse(self.id)

    @property
    def result_data(self) -> ZMachineResult | None:
        return None if self.result is None else ZMachineResult(**self.result)
