"""Solution providers, extra fees of whole nodes, and how often contracts are billed."""

from __future__ import annotations

from dataclasses import replace

from tfchain.devchain.calls import Handler
from tfchain.devchain.context import Context
from tfchain.devchain.pallets.contracts.node_removal import has_contracts
from tfchain.devchain.pallets.contracts.store import (
    BILLING_FREQUENCY,
    EXTRA_FEE,
    PALLET,
    SOLUTION_PROVIDER_ID,
    SOLUTION_PROVIDERS,
    TO_BILL_AT,
    caller_twin,
    error,
    farm,
    node,
)
from tfchain.devchain.records import Provider, SolutionProvider
from tfchain.devchain.storage import next_id

MOST_TAKEN = 50
"""Per cent of a contract's price that all providers of a solution may take together."""


def create_solution_provider(
    ctx: Context, description: bytes, link: bytes, providers: list[Provider]
) -> None:
    ctx.signer()
    if sum(provider.take for provider in providers) > MOST_TAKEN:
        raise error("InvalidProviderConfiguration")
    made = SolutionProvider(next_id(ctx, SOLUTION_PROVIDER_ID), providers, description, link, False)
    SOLUTION_PROVIDERS.put(ctx, made.solution_provider_id, made)
    ctx.deposit(PALLET, "SolutionProviderCreated", made)


def approve_solution_provider(ctx: Context, solution_provider_id: int, approve: bool) -> None:
    ctx.require_root_or_council()
    found = SOLUTION_PROVIDERS.get(ctx, solution_provider_id)
    if found is None:
        raise error("NoSuchSolutionProvider")
    SOLUTION_PROVIDERS.put(ctx, solution_provider_id, replace(found, approved=approve))
    ctx.deposit(PALLET, "SolutionProviderApproved", (solution_provider_id, approve))


def set_dedicated_node_extra_fee(ctx: Context, node_id: int, extra_fee: int) -> None:
    """What the farmer asks on top for the whole node, in mUSD a month; 0 asks nothing."""
    twin = caller_twin(ctx)
    if farm(ctx, node(ctx, node_id).farm_id).twin_id != twin:
        raise error("UnauthorizedToSetExtraFee")
    if has_contracts(ctx, node_id):
        raise error("NodeHasActiveContracts")
    EXTRA_FEE.put(ctx, node_id, extra_fee)
    ctx.deposit(PALLET, "NodeExtraFeeSet", {"node_id": node_id, "extra_fee": extra_fee})


def change_billing_frequency(ctx: Context, frequency: int) -> None:
    """Bill less often.  Contracts are filed anew, so that each keeps its turn."""
    ctx.require_root_or_council()
    before = BILLING_FREQUENCY.get(ctx)
    if frequency <= before:
        raise error("CanOnlyIncreaseFrequency")
    filed = [number for index in range(before) for number in TO_BILL_AT.get(ctx, index)]
    for index in range(before):
        TO_BILL_AT.delete(ctx, index)
    BILLING_FREQUENCY.put(ctx, frequency)
    for number in sorted(filed):
        index = number % frequency
        TO_BILL_AT.put(ctx, index, [*TO_BILL_AT.get(ctx, index), number])
    ctx.deposit(PALLET, "BillingFrequencyChanged", frequency)


CALLS: dict[str, Handler] = {
    "create_solution_provider": create_solution_provider,
    "approve_solution_provider": approve_solution_provider,
    "set_dedicated_node_extra_fee": set_dedicated_node_extra_fee,
    "change_billing_frequency": change_billing_frequency,
}
