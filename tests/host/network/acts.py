"""What a test can have a simulated node do.  Arguments and answers are JSON."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Interface
from pathlib import Path
from typing import Any

from gridtypes import ContractId, NodeId, TwinId, Workload, WorkloadId, WorkloadType
from provisioners.ip import PublicIpProvisioner
from provisioners.network import NetworkProvisioner
from provisioners.protocol import (
    Disk,
    GuestNic,
    Images,
    NicSource,
    NodeFacts,
    NodePaths,
    OwnerFile,
    PlacedWorkload,
    PrivateNetwork,
    Provisioner,
    ReservedIp,
    RootVolumes,
    WorkloadError,
    owned_ids,
)
from provisioners.system.node_network import NodeNetwork
from provisioners.system.node_network_config import NodeNetworkConfig, PublicConfig


class LabContext:
    """The context of a node that has networks and public addresses, and nothing else."""

    roots: RootVolumes
    images: Images

    def __init__(self, folder: Path, node: NodeNetwork) -> None:
        self.paths = paths(folder)
        self.node = NodeFacts(NodeId(1), TwinId(1), node.public_key)
        self.reserved: dict[int, list[ReservedIp]] = {}

    def owner_file(self, workload: WorkloadId, type: WorkloadType) -> OwnerFile:
        return OwnerFile(self.paths.owners(type) / f"{workload}.json")

    def owned(self, type: WorkloadType) -> set[WorkloadId]:
        return owned_ids(self.paths.owners(type))

    async def network(self, twin: TwinId, name: str) -> PrivateNetwork:
        return await state.network.private_network(self, twin, name)

    async def planetary(self) -> NicSource:
        return await state.network.planetary(self)

    async def public_ip(self, ip_workload: WorkloadId) -> NicSource:
        return await state.ip.public_ip(self, ip_workload)

    async def disk(self, zmount: WorkloadId) -> Disk:
        raise WorkloadError("this node has no disks")

    async def reserved_ips(self, contract: ContractId) -> Sequence[ReservedIp]:
        return self.reserved.get(contract, [])


class State:
    """The one node of this process."""

    folder: Path
    seed: bytes
    node: NodeNetwork
    network: NetworkProvisioner
    ip: PublicIpProvisioner
    context: LabContext


state = State()


def paths(folder: Path) -> NodePaths:
    return NodePaths(folder / "state", folder / "cache", folder / "run", folder / "log")


async def open(folder: str, seed: str) -> None:
    state.folder, state.seed = Path(folder), bytes.fromhex(seed)


async def ensure(**config: Any) -> None:
    """Bring the node up with this configuration."""
    state.node = NodeNetwork(NodeNetworkConfig.model_validate(config), paths(state.folder), state.seed)
    state.network = NetworkProvisioner(state.node)
    state.ip = PublicIpProvisioner(state.node)
    state.context = LabContext(state.folder, state.node)
    await state.node.ensure()


async def set_public_nic(name: str | None) -> None:
    await state.node.set_public_nic(name)


async def nics() -> dict[str, Any]:
    return dict(await state.node.nics())


async def traffic() -> dict[str, int]:
    return {str(id): count for id, count in (await state.ip.traffic(state.context)).items()}


async def refresh() -> None:
    await state.node.refresh()


async def set_public(config: dict[str, Any] | None) -> None:
    await state.node.set_public_config(PublicConfig.model_validate(config) if config else None)


async def reserve(contract: int, addresses: list[str], gateway: str) -> None:
    state.context.reserved[contract] = [
        ReservedIp(IPv4Interface(address), IPv4Address(gateway)) for address in addresses
    ]


async def provision(id: str, type: str, data: Any) -> Any:
    made = await _provisioner(type).provision(state.context, _placed(id, type, data))
    return made.model_dump(mode="json") if made else None


async def recover(id: str, type: str, data: Any) -> bool:
    return await _provisioner(type).recover(state.context, _placed(id, type, data)) is not None


async def update(id: str, current: Any, wanted: Any) -> None:
    old, new = _placed(id, "network", current), _placed(id, "network", wanted)
    await state.network.update(state.context, old, new)


async def deprovision(id: str, type: str) -> None:
    await _provisioner(type).deprovision(state.context, WorkloadId.parse(id))


async def inventory(type: str) -> list[str]:
    return sorted(map(str, await _provisioner(type).inventory(state.context)))


async def sweep() -> list[str]:
    return await state.network.sweep(state.context)


async def attach(guest: str, network: str, address: str) -> dict[str, Any]:
    id = WorkloadId.parse(guest)
    part = await state.context.network(id.twin, network)
    return _nic(await part.attach(id, IPv4Address(address)))


async def detach(guest: str, network: str) -> None:
    id = WorkloadId.parse(guest)
    await (await state.context.network(id.twin, network)).detach(id)


async def attach_public(guest: str, ip: str) -> dict[str, Any]:
    source = await state.context.public_ip(WorkloadId.parse(ip))
    return _nic(await source.attach(WorkloadId.parse(guest)))


async def detach_public(guest: str, ip: str) -> None:
    source = await state.context.public_ip(WorkloadId.parse(ip))
    await source.detach(WorkloadId.parse(guest))


async def attach_planetary(guest: str) -> dict[str, Any]:
    return _nic(await (await state.context.planetary()).attach(WorkloadId.parse(guest)))


async def detach_planetary(guest: str) -> None:
    await (await state.context.planetary()).detach(WorkloadId.parse(guest))


async def facts() -> dict[str, Any]:
    node = state.node
    return {
        "interfaces": await node.interfaces(),
        "has_ipv6": await node.has_ipv6(),
        "planetary_address": str(node.planetary_address),
        "ports": await state.network.wireguard_ports(state.context),
        "public_ips": await state.ip.public_ips(state.context),
    }


async def private_ips(twin: int, network: str) -> list[str]:
    return await state.network.private_ips(state.context, TwinId(twin), network)


def _provisioner(type: str) -> Provisioner:
    return state.network if type == "network" else state.ip


def _placed(id: str, type: str, data: Any) -> PlacedWorkload:
    place = WorkloadId.parse(id)
    workload = Workload(0, place.name, WorkloadType(type), json.dumps(data).encode(), "", "")
    return PlacedWorkload(place, workload)


def _nic(nic: GuestNic) -> dict[str, Any]:
    return dataclasses.asdict(nic)
