"""Taking a contract out of storage."""

from __future__ import annotations

from tfchain.devchain.context import Context
from tfchain.devchain.pallets.contracts import addresses
from tfchain.devchain.pallets.contracts.store import (
    ACTIVE_ON_NODE,
    BILLING_FREQUENCY,
    BILLING_INFORMATION,
    BY_NAME,
    BY_NODE_AND_HASH,
    CONTRACT_LOCK,
    CONTRACTS,
    PALLET,
    RENT_OF_NODE,
    RESOURCES,
    TO_BILL_AT,
)
from tfchain.devchain.pallets.tfgrid.store import NODES
from tfchain.devchain.records import Contract, NameContract, NodeContract, RentContract


def remove(ctx: Context, ended: Contract) -> None:
    """Remove a contract with every index that names it, free its addresses, and say so."""
    contract_id = ended.contract_id
    match ended.contract_type:
        case NodeContract() as data:
            _remove_node_contract(ctx, ended, data)
        case NameContract(name):
            BY_NAME.delete(ctx, name)
            ctx.deposit(PALLET, "NameContractCanceled", {"contract_id": contract_id})
        case RentContract(node_id):
            RENT_OF_NODE.delete(ctx, node_id)
            ctx.deposit(PALLET, "RentContractCanceled", {"contract_id": contract_id})
    index = contract_id % BILLING_FREQUENCY.get(ctx)
    TO_BILL_AT.put(ctx, index, [other for other in TO_BILL_AT.get(ctx, index) if other != contract_id])
    CONTRACTS.delete(ctx, contract_id)
    CONTRACT_LOCK.delete(ctx, contract_id)


def _remove_node_contract(ctx: Context, ended: Contract, data: NodeContract) -> None:
    contract_id = ended.contract_id
    if data.public_ips:
        node = NODES.get(ctx, data.node_id)
        freed = addresses.free(ctx, node.farm_id, contract_id) if node is not None else []
        ctx.deposit(PALLET, "IPsFreed", {"contract_id": contract_id, "public_ips": freed})
    kept = [other for other in ACTIVE_ON_NODE.get(ctx, data.node_id) if other != contract_id]
    ACTIVE_ON_NODE.put(ctx, data.node_id, kept)
    BY_NODE_AND_HASH.delete(ctx, (data.node_id, data.deployment_hash))
    RESOURCES.delete(ctx, contract_id)
    BILLING_INFORMATION.delete(ctx, contract_id)
    ctx.deposit(
        PALLET,
        "NodeContractCanceled",
        {"contract_id": contract_id, "node_id": data.node_id, "twin_id": ended.twin_id},
    )
