"""Making, changing and cancelling contracts."""

from __future__ import annotations

import re
from dataclasses import replace

from tfchain.devchain.calls import Handler
from tfchain.devchain.context import Context
from tfchain.devchain.pallets.contracts import addresses, billing
from tfchain.devchain.pallets.contracts.store import (
    ACTIVE_ON_NODE,
    BILLING_FREQUENCY,
    BILLING_INFORMATION,
    BY_NAME,
    BY_NODE_AND_HASH,
    CONTRACT_ID,
    CONTRACT_LOCK,
    CONTRACTS,
    EXTRA_FEE,
    PALLET,
    RENT_OF_NODE,
    TO_BILL_AT,
    approved_provider,
    caller_twin,
    contract,
    error,
    farm,
    node,
)
from tfchain.devchain.pallets.tfgrid.store import NODE_POWER, TWINS
from tfchain.devchain.records import (
    Contract,
    ContractBillingInformation,
    ContractData,
    ContractLock,
    Farm,
    NameContract,
    Node,
    NodeContract,
    RentContract,
)
from tfchain.devchain.storage import next_id

CONTRACT_VERSION = 4
SHORTEST_NAME = 3
LONGEST_NAME = 64
_NAME = re.compile(rb"[a-z0-9\-_]*")


def create_node_contract(
    ctx: Context,
    node_id: int,
    deployment_hash: bytes,
    deployment_data: bytes,
    public_ips: int,
    solution_provider_id: int | None,
) -> None:
    """A contract for one deployment on one node; `deployment_hash` is the ASCII hex of the challenge hash."""
    twin = caller_twin(ctx)
    target = node(ctx, node_id)
    if NODE_POWER.get(ctx, node_id).is_down:
        raise error("NodeNotAvailableToDeploy")
    home = farm(ctx, target.farm_id)
    _require_free_for(ctx, twin, target, home)
    if BY_NODE_AND_HASH.get(ctx, (node_id, deployment_hash)):
        raise error("ContractIsNotUnique")
    contract_id = next_id(ctx, CONTRACT_ID)
    reserved = addresses.reserve(ctx, home, contract_id, public_ips)
    data = NodeContract(node_id, deployment_hash, deployment_data, public_ips, reserved)
    approved_provider(ctx, solution_provider_id)
    BY_NODE_AND_HASH.put(ctx, (node_id, deployment_hash), contract_id)
    ACTIVE_ON_NODE.put(ctx, node_id, [*ACTIVE_ON_NODE.get(ctx, node_id), contract_id])
    BILLING_INFORMATION.put(ctx, contract_id, ContractBillingInformation(0, ctx.block.time, 0))
    _store_new(ctx, contract_id, twin, data, solution_provider_id)


def update_node_contract(
    ctx: Context, contract_id: int, deployment_hash: bytes, deployment_data: bytes
) -> None:
    """Replace hash and data; resources and addresses stay."""
    ctx.signer()
    before = contract(ctx, contract_id)
    _require_owner(ctx, before, "TwinNotAuthorizedToUpdateContract")
    if isinstance(before.state, dict) and "GracePeriod" in before.state:
        raise error("CannotUpdateContractInGraceState")
    data = before.contract_type
    if not isinstance(data, NodeContract):
        raise error("InvalidContractType")
    BY_NODE_AND_HASH.delete(ctx, (data.node_id, data.deployment_hash))
    BY_NODE_AND_HASH.put(ctx, (data.node_id, deployment_hash), contract_id)
    changed = replace(
        before,
        contract_type=replace(data, deployment_hash=deployment_hash, deployment_data=deployment_data),
    )
    CONTRACTS.put(ctx, contract_id, changed)
    ctx.deposit(PALLET, "ContractUpdated", changed)


def create_name_contract(ctx: Context, name: bytes) -> None:
    twin = caller_twin(ctx)
    if len(name) < SHORTEST_NAME:
        raise error("NameContractNameTooShort")
    if len(name) > LONGEST_NAME:
        raise error("NameContractNameTooLong")
    if not _NAME.fullmatch(name):
        raise error("NameNotValid")
    if BY_NAME.has(ctx, name):
        raise error("NameExists")
    contract_id = next_id(ctx, CONTRACT_ID)
    BY_NAME.put(ctx, name, contract_id)
    _store_new(ctx, contract_id, twin, NameContract(name), None)


def create_rent_contract(ctx: Context, node_id: int, solution_provider_id: int | None) -> None:
    """Rent a whole node."""
    ctx.signer()
    if RENT_OF_NODE.get(ctx, node_id) is not None:
        raise error("NodeHasRentContract")
    home = farm(ctx, node(ctx, node_id).farm_id)
    if not home.dedicated_farm and ACTIVE_ON_NODE.get(ctx, node_id):
        raise error("NodeNotAvailableToDeploy")
    twin = caller_twin(ctx)
    approved_provider(ctx, solution_provider_id)
    contract_id = next_id(ctx, CONTRACT_ID)
    RENT_OF_NODE.put(ctx, node_id, contract_id)
    _store_new(ctx, contract_id, twin, RentContract(node_id), solution_provider_id)


def cancel_contract(ctx: Context, contract_id: int) -> None:
    ctx.signer()
    ending = contract(ctx, contract_id)
    _require_owner(ctx, ending, "TwinNotAuthorizedToCancelContract")
    _require_no_tenants(ctx, ending)
    billing.end(ctx, ending, "CanceledByUser")


def cancel_contract_collective(ctx: Context, contract_id: int) -> None:
    ctx.require_root_or_council()
    ending = contract(ctx, contract_id)
    _require_no_tenants(ctx, ending)
    billing.end(ctx, ending, "CanceledByCollective")


def attach_solution_provider_id(ctx: Context, contract_id: int, solution_provider_id: int) -> None:
    ctx.signer()
    approved_provider(ctx, solution_provider_id)
    before = contract(ctx, contract_id)
    twin = TWINS.get(ctx, before.twin_id)
    if twin is None:
        raise error("TwinNotExists")
    if twin.account_id != ctx.signer() or before.solution_provider_id is not None:
        raise error("UnauthorizedToChangeSolutionProviderId")
    changed = replace(before, solution_provider_id=solution_provider_id)
    CONTRACTS.put(ctx, contract_id, changed)
    ctx.deposit(PALLET, "ContractUpdated", changed)


def _require_free_for(ctx: Context, twin: int, target: Node, home: Farm) -> None:
    """A rented node serves its tenant only; a dedicated one nobody until it is rented."""
    rent = RENT_OF_NODE.get(ctx, target.id)
    if rent is not None:
        if contract(ctx, rent).twin_id != twin:
            raise error("NodeNotAvailableToDeploy")
    elif home.dedicated_farm or EXTRA_FEE.get(ctx, target.id):
        raise error("NodeNotAvailableToDeploy")


def _require_owner(ctx: Context, owned: Contract, refusal: str) -> None:
    twin = TWINS.get(ctx, owned.twin_id)
    if twin is None:
        raise error("TwinNotExists")
    if twin.account_id != ctx.signer():
        raise error(refusal)


def _require_no_tenants(ctx: Context, ending: Contract) -> None:
    data = ending.contract_type
    if isinstance(data, RentContract) and ACTIVE_ON_NODE.get(ctx, data.node_id):
        raise error("NodeHasActiveContracts")


def _store_new(
    ctx: Context, contract_id: int, twin: int, data: ContractData, solution_provider_id: int | None
) -> None:
    made = Contract(CONTRACT_VERSION, "Created", contract_id, twin, data, solution_provider_id)
    CONTRACTS.put(ctx, contract_id, made)
    CONTRACT_LOCK.put(ctx, contract_id, ContractLock(0, 0, ctx.block.time, 0))
    index = contract_id % BILLING_FREQUENCY.get(ctx)
    TO_BILL_AT.put(ctx, index, [*TO_BILL_AT.get(ctx, index), contract_id])
    ctx.deposit(PALLET, "ContractCreated", made)


CALLS: dict[str, Handler] = {
    "create_node_contract": create_node_contract,
    "update_node_contract": update_node_contract,
    "create_name_contract": create_name_contract,
    "create_rent_contract": create_rent_contract,
    "cancel_contract": cancel_contract,
    "cancel_contract_collective": cancel_contract_collective,
    "attach_solution_provider_id": attach_solution_provider_id,
}
