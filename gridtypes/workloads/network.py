"""Private networks: `network` and `network-light`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from gridtypes.addresses import IPNet
from gridtypes.errors import InvalidDeployment
from gridtypes.kinds import HEX, IPNET, TEXT, U16, ListOf
from gridtypes.record import NestedRecord, OptionalRecord, Record, member, record
from gridtypes.workloads.data import Siblings, WorkloadData

MYCELIUM_KEY_LENGTH = 32
"""Bytes."""


@record
class Peer(Record):
    """The part of a network that lies on another node, or a user's own machine."""

    HASHED: ClassVar = ("wireguard_public_key", "endpoint", "subnet", "allowed_ips")

    subnet: IPNet | None = member(IPNET)
    wireguard_public_key: str = member(TEXT)
    """Base64 text, not decoded."""
    allowed_ips: Sequence[IPNet] = member(ListOf(IPNET))
    endpoint: str = member(TEXT)
    """`address:port`, or empty for a peer that cannot be reached and calls itself."""


@record
class Mycelium(Record):
    hex_key: bytes = member(HEX)
    peers: Sequence[str] = member(ListOf(TEXT))

    def check(self) -> None:
        if len(self.hex_key) != MYCELIUM_KEY_LENGTH:
            raise InvalidDeployment("invalid mycelium key length, expected 32")
        if self.peers:
            raise InvalidDeployment("user defined peers list is not supported right now")


@record
class Network(WorkloadData):
    """The part of a twin's network that lies on this node."""

    GO_TYPE: ClassVar = "Network"

    ip_range: IPNet | None = member(IPNET)
    """Of the whole network."""
    subnet: IPNet | None = member(IPNET)
    """Of the part on this node."""
    wireguard_private_key: str = member(TEXT)
    """Base64 text, not decoded."""
    wireguard_listen_port: int = member(U16)
    peers: Sequence[Peer] = member(ListOf(NestedRecord(Peer)))
    mycelium: Mycelium | None = member(OptionalRecord(Mycelium), omit_empty=True)

    def check(self, siblings: Siblings) -> None:
        if self.ip_range is None:
            raise InvalidDeployment("network IP range cannot be empty")
        if self.subnet is None:
            raise InvalidDeployment("network resource subnet cannot empty")
        if not self.wireguard_private_key:
            raise InvalidDeployment("network resource wireguard private key cannot empty")
        for peer in self.peers:
            if peer.subnet is None:
                raise InvalidDeployment("peer wireguard subnet cannot empty")
            if not peer.allowed_ips:
                raise InvalidDeployment("peer wireguard allowedIPs cannot empty")
            if not peer.wireguard_public_key:
                raise InvalidDeployment("peer wireguard public key cannot empty")
        if self.mycelium is not None:
            self.mycelium.check()


@record
class NetworkLight(WorkloadData):
    """The part of a twin's network on a node without public addresses; Mycelium is mandatory."""

    GO_TYPE: ClassVar = "NetworkLight"
    HASHED: ClassVar = (
        "ip_range",
        "subnet",
        "wireguard_private_key",
        "wireguard_listen_port",
        "peers",
        "mycelium",
    )

    subnet: IPNet | None = member(IPNET)
    mycelium: Mycelium = member(NestedRecord(Mycelium))
    ip_range: IPNet | None = member(IPNET)
    wireguard_private_key: str = member(TEXT)
    wireguard_listen_port: int = member(U16)
    peers: Sequence[Peer] = member(ListOf(NestedRecord(Peer)))

    def check(self, siblings: Siblings) -> None:
        if self.subnet is None:
            raise InvalidDeployment("network resource subnet cannot empty")
        self.mycelium.check()
