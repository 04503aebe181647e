"""What a user has on a grid, and the nodes that he could use."""

from __future__ import annotations

from dataclasses import dataclass

from client.planning import name_in
from gridtypes import ContractId, Deployment, NodeId
from tfchain.models import Contract, Node


@dataclass(frozen=True, slots=True)
class Placed:
    """A deployment on a node, as the node shows it."""

    node: NodeId
    contract: ContractId
    name: str
    """From the contract's data; empty when whoever made it kept none."""
    state: str
    """Of the contract."""
    deployment: Deployment | None
    """None when the node does not know it or does not answer; then `problem` says why."""
    problem: str = ""


@dataclass(frozen=True, slots=True)
class NodeSummary:
    """A node for a list."""

    node: Node
    is_up: bool
    """Answers over the bus."""
    version: str = ""
    features: tuple[str, ...] = ()


def name_of(contract: Contract) -> str:
    """Name of the deployment that a contract is for; empty when it says none."""
    content = contract.node_contract
    return name_in(content.deployment_data) if content is not None else ""


def matches(contract: Contract, wanted: str | int) -> bool:
    """Whether `wanted` is the contract's number or the name of its deployment."""
    return str(wanted) in (str(contract.contract_id), name_of(contract))
