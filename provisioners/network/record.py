"""What a network's owner file holds; all of them together are the node's list of ports and DMZ leases.  Pure.

The private key is not in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from provisioners.network.spec import NetworkSpec
from provisioners.protocol import OwnerFile, WorkloadError
from provisioners.system.node_network import RESERVED_PORTS
from provisioners.system.prefixes import NDMZ_RANGE

FORMAT = 1
PORT_TAKEN = "wireguard listen port already in use, pick another one"
_FIRST_LEASE, _LEASES = 2, 65533
"""100.127.0.2 … 100.127.255.254; `.0.1` is the ndmz."""


@dataclass(frozen=True, slots=True)
class NetworkRecord:
    """A network that this node owns, or is about to make."""

    netid: str
    twin: int
    name: str
    ip_range: IPv4Network
    subnet: IPv4Network
    ports: tuple[int, ...]
    """WireGuard ports held: one, or during a change the new one and the old one."""
    lease: IPv4Address

    @classmethod
    def read(cls, owner: OwnerFile) -> NetworkRecord | None:
        """Raises ValueError when the file is none of ours."""
        record = owner.read()
        if record is None:
            return None
        try:
            if record["format"] != FORMAT:
                raise ValueError(f"format {record['format']} is unknown")
            return cls(
                netid=str(record["netid"]),
                twin=int(record["twin"]),
                name=str(record["name"]),
                ip_range=IPv4Network(record["ip_range"]),
                subnet=IPv4Network(record["subnet"]),
                ports=tuple(int(port) for port in record["ports"]),
                lease=IPv4Address(record["lease"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"owner file {owner.path} is not that of a network: {error}") from error

    def write(self, owner: OwnerFile) -> None:
        owner.write(self.to_json())

    def to_json(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            "netid": self.netid,
            "twin": self.twin,
            "name": self.name,
            "ip_range": str(self.ip_range),
            "subnet": str(self.subnet),
            "ports": list(self.ports),
            "lease": str(self.lease),
        }

    def only(self, port: int) -> NetworkRecord:
        """The record once a change is through: the other port is free again."""
        return replace(self, ports=(port,))


def reserve(spec: NetworkSpec, own: NetworkRecord | None, others: Iterable[NetworkRecord]) -> NetworkRecord:
    """The record to write before anything is made: port and lease are this network's from then on.

    A network that has a lease keeps it; so does one that comes back, because the search starts at a place that its
    id decides.  Raises WorkloadError when the port is held by another network or by the node itself.
    """
    known = list(others)
    taken = RESERVED_PORTS | {port for other in known for port in other.ports}
    if spec.port in taken:
        raise WorkloadError(PORT_TAKEN)
    former = tuple(port for port in own.ports if port != spec.port) if own else ()
    return NetworkRecord(
        netid=spec.netid,
        twin=spec.twin,
        name=spec.name,
        ip_range=spec.ip_range,
        subnet=spec.subnet,
        ports=(spec.port, *former),
        lease=own.lease if own else _free_lease(spec.netid, {other.lease for other in known}),
    )


def _free_lease(netid: str, taken: set[IPv4Address]) -> IPv4Address:
    start = int.from_bytes(hashlib.sha256(netid.encode()).digest()[:4])
    for step in range(_LEASES):
        lease = NDMZ_RANGE.network_address + _FIRST_LEASE + (start + step) % _LEASES
        if lease not in taken:
            return lease
    raise WorkloadError(f"all {_LEASES} addresses of {NDMZ_RANGE} are given away")
