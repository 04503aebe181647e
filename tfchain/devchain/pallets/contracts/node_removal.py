"""What contracts mean for a node: whether it may go down, what happens when it comes up or leaves."""

from __future__ import annotations

from dataclasses import replace

from tfchain.devchain.context import Context
from tfchain.devchain.pallets.contracts import billing
from tfchain.devchain.pallets.contracts.store import ACTIVE_ON_NODE, CONTRACT_LOCK, CONTRACTS, RENT_OF_NODE


def has_contracts(ctx: Context, node_id: int) -> bool:
    return bool(ACTIVE_ON_NODE.get(ctx, node_id)) or RENT_OF_NODE.get(ctx, node_id) is not None


def node_came_up(ctx: Context, node_id: int) -> None:
    """Time during which a rented node was down is not billed."""
    rent = RENT_OF_NODE.get(ctx, node_id)
    if rent is not None:
        CONTRACT_LOCK.put(ctx, rent, replace(CONTRACT_LOCK.get(ctx, rent), lock_updated=ctx.block.time))


def end_contracts(ctx: Context, node_id: int) -> None:
    """Bill and remove everything that runs on a node that leaves."""
    rent = RENT_OF_NODE.get(ctx, node_id)
    for contract_id in [*ACTIVE_ON_NODE.get(ctx, node_id), *([] if rent is None else [rent])]:
        ending = CONTRACTS.get(ctx, contract_id)
        if ending is not None:
            billing.end(ctx, ending, "CanceledByUser")
