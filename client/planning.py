"""From a deployment file and facts about the nodes to one deployment for each node.  Pure.

What exists already (an earlier version of the same deployments) keeps its keys, ports, subnets and addresses, and the
versions of workloads that did not change.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network

from client import workloads
from client.deployment_file import (
    AnyWorkload,
    DeploymentFile,
    DiskPart,
    MachinePart,
    NetworkPart,
    PublicIpPart,
)
from client.errors import CheckFailed
from client.network_plan import NetworkMember, NetworkPlan, free_address, free_port, free_subnets
from client.wireguard_key import WireGuardKey
from gridtypes import (
    ContractId,
    Deployment,
    SignatureRequest,
    SignatureRequirement,
    TwinId,
    Workload,
    WorkloadType,
)
from gridtypes.workloads import Network, PublicIP, PublicIP4, ZMachine

CONTRACT_DATA_MAX = 512
"""Bytes that a contract keeps for the client."""


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """What planning has to know of a node."""

    node: int
    twin: TwinId
    host: str = ""
    """Address under which other nodes reach it."""
    taken_ports: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Plan:
    """What a file comes to: label → node, and a deployment for each node (unsigned, without contract when new)."""

    name: str
    nodes: dict[str, int]
    deployments: dict[int, Deployment]
    networks: dict[str, NetworkPlan] = field(default_factory=dict)

    @property
    def contract_data(self) -> bytes:
        """What every contract keeps, so that a deployment is found again by its name."""
        return json.dumps({"name": self.name, "type": "zos"}, separators=(",", ":")).encode()


def name_in(contract_data: bytes) -> str:
    """The deployment's name in a contract's data; empty when there is none."""
    try:
        data = json.loads(contract_data)
    except (ValueError, RecursionError):
        return ""
    return str(data.get("name", "")) if isinstance(data, dict) else ""


def make_plan(
    file: DeploymentFile,
    *,
    twin: TwinId,
    nodes: Mapping[str, NodeFacts],
    user_keys: Mapping[str, WireGuardKey],
    existing: Mapping[int, Deployment] | None = None,
) -> Plan:
    """Raises CheckFailed with everything that does not fit.

    `nodes` gives the facts of each label; `user_keys` the user's own key in each network.
    """
    old = existing or {}
    networks = {
        name: _plan_network(name, part, file, nodes, user_keys.get(name), old)
        for name, part in file.networks.items()
        if _labels_of(file, name)
    }
    deployments = {}
    for label, facts in nodes.items():
        deployment = _deployment(file, label, facts, twin, networks, old.get(facts.node))
        try:
            deployment.check()
        except ValueError as problem:
            raise CheckFailed([f"node {facts.node}: {problem}"]) from problem
        deployments[facts.node] = deployment
    return Plan(file.name, {label: facts.node for label, facts in nodes.items()}, deployments, networks)


def public_ips(deployment: Deployment) -> int:
    """How many IPv4 addresses the contract has to hold (decision 14)."""
    count = 0
    for workload in deployment.by_type(WorkloadType.IP, WorkloadType.IPV4):
        data = workload.load()
        count += isinstance(data, PublicIP4) or (isinstance(data, PublicIP) and data.v4)
    return count


def _labels_of(file: DeploymentFile, network: str) -> list[str]:
    """Labels of the nodes on which a network lies, in order of first use."""
    found = [file.label_of(machine) for machine in file.machines if machine.network == network]
    return list(dict.fromkeys(found))


def _plan_network(
    name: str,
    part: NetworkPart,
    file: DeploymentFile,
    nodes: Mapping[str, NodeFacts],
    user_key: WireGuardKey | None,
    old: Mapping[int, Deployment],
) -> NetworkPlan:
    kept = {node: found for node, deployment in old.items() if (found := _network_of(deployment, name))}
    taken = [IPv4Network(str(network.subnet), strict=False) for network in kept.values() if network.subnet]
    fresh = iter(free_subnets(part.range, taken))
    members = []
    for number, label in enumerate(_labels_of(file, name)):
        facts = nodes[label]
        before = kept.get(facts.node)
        if before is not None and before.subnet is not None:
            subnet = IPv4Network(str(before.subnet), strict=False)
            port = before.wireguard_listen_port
            key = WireGuardKey.from_private(before.wireguard_private_key)
        else:
            subnet = next(fresh)
            key = WireGuardKey.generate()
            port = free_port(facts.taken_ports, int.from_bytes(key.secret[:4], "big") + number)
        members.append(NetworkMember(facts.node, subnet, port, key, facts.host))
    return NetworkPlan(name, part.range, tuple(members), user_key.public if user_key else "")


def _network_of(deployment: Deployment, name: str) -> Network | None:
    found = deployment.find(name)
    if found is None or found.type is not WorkloadType.NETWORK:
        return None
    data = found.load()
    assert isinstance(data, Network)
    return data


def _deployment(
    file: DeploymentFile,
    label: str,
    facts: NodeFacts,
    twin: TwinId,
    networks: Mapping[str, NetworkPlan],
    before: Deployment | None,
) -> Deployment:
    wanted: list[Workload] = [
        plan.workload(facts.node, description=file.networks[name].description)
        for name, plan in networks.items()
        if any(member.node == facts.node for member in plan.members)
    ]
    taken = _addresses(before)
    for part in file.workloads:
        if file.label_of(part) == label:
            wanted.append(_workload(part, facts.node, networks, taken, before))
    deployment = Deployment(
        version=0,
        twin_id=twin,
        contract_id=before.contract_id if before else ContractId(0),
        metadata=json.dumps({"version": 3, "name": file.name}, separators=(",", ":")),
        description=file.description,
        workloads=wanted,
        signature_requirement=SignatureRequirement(
            weight_required=1, requests=[SignatureRequest(twin, required=True, weight=1)]
        ),
    )
    return deployment if before is None else next_version(before, deployment)


def _workload(
    part: AnyWorkload,
    node: int,
    networks: Mapping[str, NetworkPlan],
    taken: dict[IPv4Address, str],
    before: Deployment | None,
) -> Workload:
    match part:
        case DiskPart():
            built = workloads.zmount(part.name, size=part.size, description=part.description)
        case PublicIpPart():
            built = workloads.publicip(part.name, v4=part.v4, v6=part.v6, description=part.description)
        case MachinePart():
            built = workloads.zmachine(
                part.name,
                flist=part.image,
                network=part.network,
                ip=_address(part, networks[part.network].member(node).subnet, taken),
                cpu=part.cpu,
                memory=part.memory,
                size=part.size,
                public_ip=part.publicip,
                planetary=part.planetary,
                mounts=part.mounts,
                entrypoint=part.entrypoint,
                env=part.env,
                description=part.description,
            )
    return dataclasses.replace(built, metadata=part.metadata) if part.metadata else built


def _address(machine: MachinePart, subnet: IPv4Network, taken: dict[IPv4Address, str]) -> IPv4Address:
    wanted = machine.ip
    if wanted is None:
        mine = [address for address, name in taken.items() if name == machine.name and address in subnet]
        wanted = mine[0] if mine else free_address(subnet, taken)
    elif wanted not in subnet:
        raise CheckFailed([f"address {wanted} of {machine.name} is outside the node's subnet {subnet}"])
    elif taken.get(wanted, machine.name) != machine.name:
        raise CheckFailed([f"address {wanted} of {machine.name} is that of {taken[wanted]}"])
    taken[wanted] = machine.name
    return wanted


def _addresses(before: Deployment | None) -> dict[IPv4Address, str]:
    found: dict[IPv4Address, str] = {}
    for workload in before.by_type(WorkloadType.ZMACHINE) if before else ():
        data = workload.load()
        if isinstance(data, ZMachine):
            for interface in data.network.interfaces:
                if isinstance(interface.ip, IPv4Address):
                    found[interface.ip] = workload.name
    return found


def next_version(before: Deployment, wanted: Deployment) -> Deployment:
    """`wanted` as the version after `before`: what did not change keeps its version.

    Returns `before` itself (without signatures) when nothing changed.
    """
    version = before.version + 1
    old = {workload.name: workload for workload in before.workloads}
    merged, changed = [], _names(before.workloads) != _names(wanted.workloads)
    for workload in wanted.workloads:
        known = old.get(workload.name)
        if known is not None and _same(known, workload):
            merged.append(dataclasses.replace(workload, version=known.version, data=known.data))
        else:
            changed = True
            merged.append(dataclasses.replace(workload, version=version))
    changed = changed or (before.metadata, before.description) != (wanted.metadata, wanted.description)
    requirement = dataclasses.replace(wanted.signature_requirement, signatures=[])
    return dataclasses.replace(
        wanted,
        version=version if changed else before.version,
        contract_id=before.contract_id,
        workloads=merged,
        signature_requirement=requirement,
    )


def put_back(now: Deployment, former: Deployment, failed: Deployment) -> Deployment:
    """`former` as the version after `now`, where `failed` was tried in between.

    What `failed` touched is sent again even where the node still shows it as it was: it may not have got to it yet.
    """
    version = now.version + 1
    kept = {str(one.name) for one in failed.workloads if one.version < failed.version}
    return dataclasses.replace(
        former,
        version=version,
        contract_id=now.contract_id,
        workloads=[
            one if one.name in kept else dataclasses.replace(one, version=version) for one in former.workloads
        ],
        signature_requirement=dataclasses.replace(former.signature_requirement, signatures=[]),
    )


def _same(known: Workload, wanted: Workload) -> bool:
    return (known.type, known.load(), known.metadata, known.description) == (
        wanted.type,
        wanted.load(),
        wanted.metadata,
        wanted.description,
    )


def _names(some: Iterable[Workload]) -> set[str]:
    return {str(workload.name) for workload in some}
