"""What the owner file of a public address holds, and which address a workload gets.  Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Interface
from typing import Any

from gridtypes.results import PublicIPResult
from provisioners.protocol import OwnerFile, ReservedIp, WorkloadError

FORMAT = 1


@dataclass(frozen=True, slots=True)
class AddressRecord:
    """An address that a workload has been given; written before the address is used."""

    tap: str
    """Name that the tap of its machine has, or will have."""
    mac: str
    ipv4: IPv4Interface | None
    gateway: IPv4Address | None
    ipv6: IPv6Interface | None
    probed: bool
    """Nobody else answered for the address."""

    @classmethod
    def read(cls, owner: OwnerFile) -> AddressRecord | None:
        """Raises ValueError when the file is none of ours."""
        record = owner.read()
        if record is None:
            return None
        try:
            if record["format"] != FORMAT:
                raise ValueError(f"format {record['format']} is unknown")
            return cls(
                tap=str(record["tap"]),
                mac=str(record["mac"]),
                ipv4=IPv4Interface(record["ipv4"]) if record["ipv4"] else None,
                gateway=IPv4Address(record["gateway"]) if record["gateway"] else None,
                ipv6=IPv6Interface(record["ipv6"]) if record["ipv6"] else None,
                probed=bool(record["probed"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"owner file {owner.path} is not that of a public address: {error}") from error

    def write(self, owner: OwnerFile) -> None:
        record: dict[str, Any] = {
            "format": FORMAT,
            "tap": self.tap,
            "mac": self.mac,
            "ipv4": str(self.ipv4 or ""),
            "gateway": str(self.gateway or ""),
            "ipv6": str(self.ipv6 or ""),
            "probed": self.probed,
        }
        owner.write(record)

    def result(self) -> PublicIPResult:
        return PublicIPResult(
            ip=str(self.ipv4 or ""), ip6=str(self.ipv6 or ""), gateway=str(self.gateway or "")
        )


def choose(
    reserved: Sequence[ReservedIp], own: IPv4Interface | None, others: Iterable[AddressRecord]
) -> ReservedIp:
    """The first address of the contract that none of its other workloads has; what a workload had, it keeps.

    Raises WorkloadError when the contract holds too few.
    """
    taken = [other.ipv4.ip for other in others if other.ipv4]
    if own is not None:
        for candidate in reserved:
            if candidate.address.ip == own.ip:
                return candidate
    for candidate in reserved:
        if candidate.address.ip not in taken:
            return candidate
    wanted = len(taken) + 1
    if wanted > len(reserved):
        raise WorkloadError(f"required {wanted} ips while contract has {len(reserved)} ip reserved")
    raise WorkloadError("could not allocate public IP address to workload")
