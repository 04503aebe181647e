"""How a user's network lies on its nodes: subnets, ports, keys, peers.  Pure.

A network of range `a.b.0.0/16` gives its n-th node `a.b.(n+1).0/24` and the user's own machine `a.b.255.0/24`.
Every node lists all others, and the user's machine; who cannot be reached from outside is listed without endpoint and
calls the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from client import workloads
from client.errors import CheckFailed
from client.wireguard_key import WireGuardKey
from gridtypes import Workload
from gridtypes.workloads import Peer

FIRST_PORT, LAST_PORT = 1024, 32767
"""UDP ports that a user may ask for."""
SUBNET_PREFIX = 24
WIREGUARD_RANGE = "100.64"


@dataclass(frozen=True, slots=True)
class NetworkMember:
    """One node's part."""

    node: int
    subnet: IPv4Network
    port: int
    key: WireGuardKey
    host: str
    """Address under which other members reach the node; empty when none is known."""

    @property
    def endpoint(self) -> str:
        return f"{self.host}:{self.port}" if self.host else ""


@dataclass(frozen=True, slots=True)
class NetworkPlan:
    """A whole network."""

    name: str
    ip_range: IPv4Network
    members: tuple[NetworkMember, ...]
    user_public_key: str
    """WireGuard key of the user's own machine; empty for none."""

    @property
    def user_subnet(self) -> IPv4Network:
        return list_subnets(self.ip_range)[-1]

    def member(self, node: int) -> NetworkMember:
        return next(member for member in self.members if member.node == node)

    def workload(self, node: int, *, description: str = "", version: int = 0) -> Workload:
        """The network workload for one of the nodes."""
        own = self.member(node)
        return workloads.network(
            self.name,
            ip_range=str(self.ip_range),
            subnet=str(own.subnet),
            wireguard_private_key=own.key.private,
            wireguard_listen_port=own.port,
            peers=[*self._others(own), *self._user()],
            description=description,
            version=version,
        )

    def _others(self, own: NetworkMember) -> list[Peer]:
        return [
            workloads.peer(
                subnet=str(member.subnet),
                public_key=member.key.public,
                allowed_ips=allowed_ips(member.subnet),
                endpoint=member.endpoint,
            )
            for member in self.members
            if member != own
        ]

    def _user(self) -> list[Peer]:
        if not self.user_public_key:
            return []
        subnet = self.user_subnet
        return [
            workloads.peer(
                subnet=str(subnet), public_key=self.user_public_key, allowed_ips=allowed_ips(subnet)
            )
        ]


def allowed_ips(subnet: IPv4Network) -> list[str]:
    """What a peer may send from: its subnet and its WireGuard address."""
    return [str(subnet), f"{wireguard_address(subnet)}/32"]


def wireguard_address(subnet: IPv4Network) -> IPv4Address:
    """`100.64.` and the second and third number of the subnet, as every node derives it."""
    second, third = str(subnet.network_address).split(".")[1:3]
    return IPv4Address(f"{WIREGUARD_RANGE}.{second}.{third}")


def list_subnets(ip_range: IPv4Network) -> list[IPv4Network]:
    """The subnets of a range, without the first, whose addresses look like the range itself."""
    return list(ip_range.subnets(new_prefix=SUBNET_PREFIX))[1:]


def free_subnets(ip_range: IPv4Network, taken: Sequence[IPv4Network]) -> list[IPv4Network]:
    """Subnets for nodes: not taken, and not the user's."""
    return [subnet for subnet in list_subnets(ip_range)[:-1] if subnet not in taken]


def free_port(taken: Sequence[int], choose: int) -> int:
    """A port that nobody uses; `choose` is any number and spreads the choice.  Raises CheckFailed."""
    ports = LAST_PORT - FIRST_PORT + 1
    used = set(taken)
    for step in range(ports):
        port = FIRST_PORT + (choose + step) % ports
        if port not in used:
            return port
    raise CheckFailed(["the node has no free WireGuard port"])


def free_address(subnet: IPv4Network, taken: Mapping[IPv4Address, str]) -> IPv4Address:
    """The first address for a machine: `.1` is the gateway, `.255` the broadcast.  Raises CheckFailed."""
    for address in list(subnet.hosts())[1:]:
        if address not in taken:
            return address
    raise CheckFailed([f"subnet {subnet} has no free address"])
