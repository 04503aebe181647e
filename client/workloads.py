"""Builders of workloads, so that a deployment reads nearly as the manual writes it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address

from gridtypes import Name, Workload
from gridtypes.addresses import parse_ip, parse_ipnet
from gridtypes.kinds import TextMap
from gridtypes.workloads import (
    MachineCapacity,
    MachineInterface,
    MachineMount,
    MachineNetwork,
    Network,
    Peer,
    PublicIP,
    ZMachine,
    ZMount,
)


def peer(*, subnet: str, public_key: str, allowed_ips: Sequence[str], endpoint: str = "") -> Peer:
    """Another part of a network.  `endpoint` is `address:port`, empty for one that cannot be reached from outside."""
    return Peer(
        subnet=parse_ipnet(subnet),
        wireguard_public_key=public_key,
        allowed_ips=[parse_ipnet(each) for each in allowed_ips],
        endpoint=endpoint,
    )


def network(
    name: str,
    *,
    ip_range: str,
    subnet: str,
    wireguard_private_key: str,
    wireguard_listen_port: int,
    peers: Sequence[Peer] = (),
    version: int = 0,
    description: str = "",
) -> Workload:
    """This node's part of a network.  `ip_range` and `subnet` in CIDR form; the key in base64, as `wg` prints it."""
    data = Network(
        ip_range=parse_ipnet(ip_range),
        subnet=parse_ipnet(subnet),
        wireguard_private_key=wireguard_private_key,
        wireguard_listen_port=wireguard_listen_port,
        peers=list(peers),
    )
    return Workload.build(name, data, version=version, description=description)


def zmount(name: str, *, size: int, version: int = 0, description: str = "") -> Workload:
    """A disk of `size` bytes on SSD."""
    return Workload.build(name, ZMount(size=size), version=version, description=description)


def publicip(
    name: str, *, v4: bool = True, v6: bool = False, version: int = 0, description: str = ""
) -> Workload:
    """A public address for one machine of the same deployment."""
    return Workload.build(name, PublicIP(v4=v4, v6=v6), version=version, description=description)


def zmachine(
    name: str,
    *,
    flist: str,
    network: str,
    ip: str | IPv4Address,
    cpu: int = 1,
    memory: int,
    size: int = 0,
    public_ip: str = "",
    planetary: bool = False,
    mounts: Mapping[str, str] | None = None,
    entrypoint: str = "",
    env: Mapping[str, str] | None = None,
    version: int = 0,
    description: str = "",
) -> Workload:
    """A virtual machine whose root is the image at `flist`.

    `memory` and `size` (of the root, 0 for the least) in bytes; `mounts` are disk name → mount point.
    """
    data = ZMachine(
        flist=flist,
        network=MachineNetwork(
            public_ip=Name(public_ip),
            planetary=planetary,
            interfaces=[MachineInterface(network=Name(network), ip=parse_ip(str(ip)))],
        ),
        size=size,
        compute_capacity=MachineCapacity(cpu=cpu, memory=memory),
        mounts=[MachineMount(name=Name(disk), mountpoint=point) for disk, point in (mounts or {}).items()],
        entrypoint=entrypoint,
        env=TextMap(env or {}),
    )
    return Workload.build(name, data, version=version, description=description)
