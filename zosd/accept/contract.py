"""Does this contract allow this deployment on this node?  Pure."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from gridtypes import ContractId, Deployment, NodeId, TwinId
from gridtypes.workloads import GatewayNameProxy
from provisioners.protocol import ReservedIp
from zosd.accept.refusal import Refusal


class ContractState(Enum):
    CREATED = "created"
    GRACE = "grace period"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class ContractView:
    """A contract as far as a node cares."""

    id: ContractId
    twin: TwinId
    state: ContractState
    node: NodeId | None
    """None: it is no node contract."""
    hash: str = ""
    """32 lower-case hex digits."""
    addresses: tuple[ReservedIp, ...] = ()


def not_found(contract: ContractId, height: int) -> str:
    """The text for a contract that no endpoint shows; `height` is the block at which it was looked for last."""
    return (
        "failed to get deployment contract: contract not found: object not found "
        f"(contract {contract}, looked for until block {height})"
    )


def check_renter(deployment: Deployment, node: NodeId, renter: TwinId | None) -> None:
    """A node that is rented as a whole serves its renter alone.  Raises Refusal."""
    if renter is not None and renter != deployment.twin_id:
        raise Refusal(
            f"node {node} is rented by twin {renter}: twin {deployment.twin_id} cannot deploy on it; choose another"
        )


def wanted_names(deployment: Deployment) -> tuple[str, ...]:
    """The names below the node's domain that its gateways ask for."""
    found = (workload.load() for workload in deployment.workloads)
    return tuple(one.name for one in found if isinstance(one, GatewayNameProxy))


def check_name(deployment: Deployment, name: str, owner: TwinId | None) -> None:
    """A gateway's name has to be reserved by a name contract of its twin.  Raises Refusal."""
    if owner is None:
        raise Refusal(f"a name contract with the given name must be reserved first: '{name}'")
    if owner != deployment.twin_id:
        raise Refusal(
            f"the name '{name}' is reserved by twin {owner}, not by twin {deployment.twin_id} of the deployment"
        )


def check_contract(contract: ContractView, deployment: Deployment, hash: str, node: NodeId) -> None:
    """Raises Refusal with the text of the specification where it has one (engine §2.5)."""
    if contract.node is None:
        raise Refusal("invalid contract type, expecting node contract")
    if contract.node != node:
        raise Refusal("invalid node address in contract")
    if contract.twin != deployment.twin_id:
        raise Refusal(
            f"contract {contract.id} belongs to twin {contract.twin}, not to twin {deployment.twin_id} of the "
            "deployment"
        )
    if contract.state is ContractState.ENDED:
        raise Refusal(f"contract {contract.id} is cancelled: create a new one")
    if contract.state is ContractState.GRACE:
        raise Refusal(
            f"contract {contract.id} is in its grace period: fund the account of twin {contract.twin} and send "
            "the deployment again when the grace period has ended"
        )
    if contract.hash != hash:
        raise Refusal("contract hash does not match deployment hash")
