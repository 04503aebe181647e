"""What a `network` workload asks for, checked: from declared texts to values that can be acted on.  Pure.

The deployment was already decoded and checked as every node does it; here stand the rules that other nodes leave to
the kernel, with messages that say what is wrong.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from ipaddress import IPv4Interface, IPv4Network
from typing import NoReturn

from nacl.bindings import crypto_scalarmult_base

from gridtypes import TwinId, WorkloadId, network_id
from gridtypes.addresses import IPNet
from gridtypes.workloads import Network
from gridtypes.workloads.network import Peer as DeclaredPeer
from provisioners.protocol import PlacedWorkload, WorkloadError
from provisioners.system.prefixes import NEVER_PUBLIC, WIREGUARD_RANGE
from provisioners.system.wireguard_config import Endpoint, Peer, WireGuardConfig

RANGE_LENGTH, SUBNET_LENGTH = 16, 24
PEER_LIMIT = 512
KEY_LENGTH = 32
"""Bytes of a WireGuard key."""

_PRIVATE = tuple(IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"))
_NOT_FOR_USERS = tuple(
    network for network in NEVER_PUBLIC if isinstance(network, IPv4Network) and network not in _PRIVATE
)


@dataclass(frozen=True, slots=True)
class NetworkSpec:
    """One node's part of a twin's network."""

    netid: str
    twin: TwinId
    name: str
    ip_range: IPv4Network
    subnet: IPv4Network
    wireguard: WireGuardConfig = field(repr=False)

    @property
    def port(self) -> int:
        return self.wireguard.listen_port


def read(workload: PlacedWorkload) -> NetworkSpec:
    """Raises WorkloadError that names the field, its value and what is expected."""
    data = workload.workload.load()
    if not isinstance(data, Network):
        raise WorkloadError(f"workload {workload.id} is not a network")
    if data.mycelium is not None:
        raise WorkloadError("this node has no mycelium: leave it out of the network, or choose another node")
    ip_range = _network("ip_range", data.ip_range, RANGE_LENGTH)
    subnet = _network("subnet", data.subnet, SUBNET_LENGTH)
    if not subnet.subnet_of(ip_range):
        _refuse("subnet", subnet, f"lies outside ip_range {ip_range}")
    for taken in _NOT_FOR_USERS:
        if ip_range.overlaps(taken):
            _refuse("ip_range", ip_range, f"overlaps {taken}, which has another use")
    if data.wireguard_listen_port == 0:
        _refuse("wireguard_listen_port", 0, "is not within 1-65535")
    private_key = _key("wireguard_private_key", data.wireguard_private_key, secret=True)
    if len(data.peers) > PEER_LIMIT:
        _refuse("peers", len(data.peers), f"are more than {PEER_LIMIT}")
    peers = tuple(_peer(number, peer, ip_range, subnet) for number, peer in enumerate(data.peers, 1))
    _check_together(peers, private_key)
    return NetworkSpec(
        netid=netid_of(workload.id),
        twin=workload.twin,
        name=workload.id.name,
        ip_range=ip_range,
        subnet=subnet,
        wireguard=WireGuardConfig(base64.b64encode(private_key).decode(), data.wireguard_listen_port, peers),
    )


def netid_of(id: WorkloadId) -> str:
    """The network's id, by which everything on the machine is named."""
    return network_id(id.twin, id.name)


def _peer(number: int, peer: DeclaredPeer, ip_range: IPv4Network, own: IPv4Network) -> Peer:
    where = f"peers[{number}]"
    subnet = _network(f"{where}.subnet", peer.subnet, None)
    if not subnet.subnet_of(ip_range):
        _refuse(f"{where}.subnet", subnet, f"lies outside ip_range {ip_range}")
    if subnet.overlaps(own):
        _refuse(f"{where}.subnet", subnet, f"overlaps this node's subnet {own}")
    key = _key(f"{where}.wireguard_public_key", peer.wireguard_public_key)
    allowed = set()
    for entry in peer.allowed_ips:
        network = _network(f"{where}.allowed_ips", entry, None, host_bits=True)
        if not (network.subnet_of(ip_range) or network.subnet_of(WIREGUARD_RANGE)):
            _refuse(
                f"{where}.allowed_ips", network, f"lies outside ip_range {ip_range} and {WIREGUARD_RANGE}"
            )
        allowed.add(network)
    try:
        endpoint = Endpoint.parse(peer.endpoint) if peer.endpoint else None
    except ValueError as error:
        raise WorkloadError(f"{where}: {error}") from None
    return Peer(base64.b64encode(key).decode(), frozenset(allowed), endpoint)


def _check_together(peers: tuple[Peer, ...], private_key: bytes) -> None:
    own = base64.b64encode(crypto_scalarmult_base(private_key)).decode()
    routed: dict[IPv4Network, tuple[int, str]] = {}
    for number, peer in enumerate(peers, 1):
        if peer.public_key == own:
            _refuse(f"peers[{number}].wireguard_public_key", own, "is this node's own key")
        for network in peer.allowed_ips:
            other, key = routed.setdefault(network, (number, peer.public_key))
            if key != peer.public_key:
                _refuse(f"peers[{number}].allowed_ips", network, f"already leads to peers[{other}]")


def _network(field: str, value: IPNet | None, length: int | None, *, host_bits: bool = False) -> IPv4Network:
    if value is None:
        _refuse(field, "", "is empty")
    if not isinstance(value, IPv4Interface):
        _refuse(field, value, "is not an IPv4 network")
    if value.ip != value.network.network_address and not host_bits:
        _refuse(field, value, f"has host bits set; the network is {value.network}")
    if length is not None and value.network.prefixlen != length:
        _refuse(field, value, f"is not a /{length}")
    return value.network


def _key(field: str, text: str, *, secret: bool = False) -> bytes:
    shown = "(not shown)" if secret else text
    try:
        key = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        _refuse(field, shown, "is not base64")
    if len(key) != KEY_LENGTH:
        _refuse(field, shown, f"has {len(key)} bytes, a WireGuard key has {KEY_LENGTH}")
    return key


def _refuse(field: str, value: object, reason: str) -> NoReturn:
    raise WorkloadError(f"{field} '{value}' {reason}")
