"""Bills: what is due, grace, the lock on the owner's funds, and paying out.

An amount that is due is first locked on the owner's account; after a number of cycles, or when the contract ends, what
was locked is paid out.  Who cannot pay enters grace; when grace runs out the contract is removed.
"""

from __future__ import annotations

from dataclasses import replace

from tfchain.devchain.calls import Handler
from tfchain.devchain.context import Context
from tfchain.devchain.pallets import funds
from tfchain.devchain.pallets.contracts import pricing, rewards
from tfchain.devchain.pallets.contracts.removal import remove
from tfchain.devchain.pallets.contracts.store import (
    ACTIVE_ON_NODE,
    BILLING_FREQUENCY,
    BILLING_INFORMATION,
    CONTRACT_LOCK,
    CONTRACTS,
    EXTRA_FEE,
    PALLET,
    RENT_OF_NODE,
    RESOURCES,
    TO_BILL_AT,
    contract,
    error,
    node,
)
from tfchain.devchain.pallets.tfgrid.store import BOUNDED_ACCOUNT, NODE_POWER, PRICING, TWINS
from tfchain.devchain.pallets.tft_price import billing_price
from tfchain.devchain.records import (
    Contract,
    ContractBill,
    ContractLock,
    NameContract,
    NodeContract,
    PricingPolicy,
    RentContract,
    Tagged,
)

PAY_OUT_CYCLES = 24
"""Bills after which the locked amount is paid out."""

POLICY = 1
"""The pricing policy by which everything is billed."""


def bill_contract_for_block(ctx: Context, contract_id: int) -> None:
    ctx.signer()
    bill(ctx, contract(ctx, contract_id))


def due_in_block(ctx: Context) -> list[int]:
    """The contracts whose turn it is in this block and that have something to bill."""
    index = ctx.block.number % BILLING_FREQUENCY.get(ctx)
    return [contract_id for contract_id in TO_BILL_AT.get(ctx, index) if _has_something(ctx, contract_id)]


def end(ctx: Context, ending: Contract, cause: str) -> None:
    """Bill a last time, pay out what is locked, and remove the contract.

    The rent contract of a node that is down is only marked; it goes with the first bill after the node is up.
    """
    marked = replace(ending, state={"Deleted": cause})
    CONTRACTS.put(ctx, ending.contract_id, marked)
    bill(ctx, marked)


def bill(ctx: Context, billed: Contract) -> None:
    """Bill for the time since the last bill."""
    twin = TWINS.get(ctx, billed.twin_id)
    if twin is None:
        raise error("TwinNotExists")
    if _rests(ctx, billed):
        return
    spendable = funds.usable(ctx, twin.account_id)
    stash = BOUNDED_ACCOUNT.get(ctx, billed.twin_id)
    balance = spendable + (funds.usable(ctx, stash) if stash is not None else 0)
    lock = CONTRACT_LOCK.get(ctx, billed.contract_id)
    seconds = max(0, ctx.block.time - lock.lock_updated)
    regular = _regular_due(ctx, billed, seconds, balance)
    extra = _extra_due(ctx, billed, seconds)
    due = regular.amount + extra
    ending = _is_deleted(billed.state)
    if not due and not ending:
        return
    grown = ContractLock(
        lock.amount_locked + regular.amount,
        lock.extra_amount_locked + extra,
        ctx.block.time,
        lock.cycles + 1,
    )
    if not ending:
        billed = _handle_grace(ctx, billed, spendable, grown.amount_locked + grown.extra_amount_locked)
        lock = lock if _is_deleted(billed.state) else grown
    if _grace_start(billed.state) is not None:
        _count_traffic_as_billed(ctx, billed)
        CONTRACT_LOCK.put(ctx, billed.contract_id, lock)
        return
    if billed.state == "Created":
        already = funds.locked_by(ctx, twin.account_id, rewards.GRID_LOCK)
        funds.set_lock(ctx, twin.account_id, rewards.GRID_LOCK, already + due)
    if lock.cycles >= PAY_OUT_CYCLES or (_is_deleted(billed.state) and _has_locked(lock)):
        lock = rewards.pay_out(ctx, billed, lock, twin.account_id)
    bill_event = ContractBill(billed.contract_id, ctx.block.time, regular.level, due)
    ctx.deposit(PALLET, "ContractBilled", bill_event)
    if _is_deleted(billed.state):
        _end_guests(ctx, billed)
        remove(ctx, billed)
        return
    _count_traffic_as_billed(ctx, billed)
    CONTRACT_LOCK.put(ctx, billed.contract_id, lock)


def _end_guests(ctx: Context, ended: Contract) -> None:
    """What runs on a rented node ends with its rent, where money ended it: a tenant has to cancel it first himself."""
    if isinstance(ended.contract_type, RentContract) and ended.state == {"Deleted": "OutOfFunds"}:
        for contract_id in ACTIVE_ON_NODE.get(ctx, ended.contract_type.node_id):
            end(ctx, contract(ctx, contract_id), "OutOfFunds")


def _count_traffic_as_billed(ctx: Context, billed: Contract) -> None:
    """Traffic is in the lock now; without this, every bill in grace would add it again."""
    if isinstance(billed.contract_type, NodeContract):
        information = BILLING_INFORMATION.get(ctx, billed.contract_id)
        BILLING_INFORMATION.put(ctx, billed.contract_id, replace(information, amount_unbilled=0))


def policy(ctx: Context) -> PricingPolicy:
    found = PRICING.get(ctx, POLICY)
    if found is None:
        raise error("PricingPolicyNotExists")
    return found


def _has_something(ctx: Context, contract_id: int) -> bool:
    found = CONTRACTS.get(ctx, contract_id)
    if found is None:
        return False
    if not isinstance(found.contract_type, NodeContract):
        return True
    used = RESOURCES.get(ctx, contract_id).used
    return bool(
        found.contract_type.public_ips
        or any((used.hru, used.sru, used.cru, used.mru))
        or BILLING_INFORMATION.get(ctx, contract_id).amount_unbilled
    )


def _rests(ctx: Context, billed: Contract) -> bool:
    """Nothing is billed, nor removed, for the tenant of a whole node while that node is down."""
    data = billed.contract_type
    return isinstance(data, RentContract) and NODE_POWER.get(ctx, data.node_id).state != "Up"


def _regular_due(ctx: Context, billed: Contract, seconds: int, balance: int) -> pricing.Due:
    prices = policy(ctx)
    match billed.contract_type:
        case NodeContract(node_id=node_id, public_ips=public_ips):
            node(ctx, node_id)
            rented = RENT_OF_NODE.get(ctx, node_id) is not None
            used = None if rented else RESOURCES.get(ctx, billed.contract_id).used
            cost = pricing.resources_cost(prices, used, public_ips, seconds)
            cost += BILLING_INFORMATION.get(ctx, billed.contract_id).amount_unbilled
        case RentContract(node_id=node_id):
            whole = pricing.resources_cost(prices, node(ctx, node_id).resources, 0, seconds)
            cost = pricing.dedicated_discount(prices, whole)
        case NameContract():
            cost = pricing.name_cost(prices, seconds)
    return pricing.with_discount(pricing.in_tft(cost, billing_price(ctx)), seconds, balance)


def _extra_due(ctx: Context, billed: Contract, seconds: int) -> int:
    """The farmer's extra fee for a whole node; no discount touches it."""
    if not isinstance(billed.contract_type, RentContract):
        return 0
    fee = EXTRA_FEE.get(ctx, billed.contract_type.node_id)
    return pricing.in_tft(pricing.extra_fee(fee, seconds), billing_price(ctx)) if fee else 0


def _handle_grace(ctx: Context, billed: Contract, spendable: int, owed: int) -> Contract:
    """Move a contract into grace, out of it, or to its end."""
    start = _grace_start(billed.state)
    if start is None:
        if owed < spendable:
            return billed
        return _set_state(ctx, billed, {"GracePeriod": ctx.block.number})
    if spendable > owed:
        return _set_state(ctx, billed, "Created")
    if ctx.block.number - start >= ctx.block.grace_blocks:
        ended = replace(billed, state={"Deleted": "OutOfFunds"})
        CONTRACTS.put(ctx, billed.contract_id, ended)
        return ended
    return billed


def _set_state(ctx: Context, billed: Contract, state: Tagged) -> Contract:
    """Enter or leave grace; what a tenant runs on a whole node follows the node's contract."""
    changed = _announce(ctx, billed, state)
    data = billed.contract_type
    if isinstance(data, RentContract):
        for contract_id in ACTIVE_ON_NODE.get(ctx, data.node_id):
            _announce(ctx, contract(ctx, contract_id), state)
    return changed


def _announce(ctx: Context, billed: Contract, state: Tagged) -> Contract:
    changed = replace(billed, state=state)
    CONTRACTS.put(ctx, billed.contract_id, changed)
    data = billed.contract_type
    content = {
        "contract_id": billed.contract_id,
        "node_id": 0 if isinstance(data, NameContract) else data.node_id,
        "twin_id": billed.twin_id,
    }
    start = _grace_start(state)
    if start is None:
        ctx.deposit(PALLET, "ContractGracePeriodEnded", content)
    else:
        ctx.deposit(PALLET, "ContractGracePeriodStarted", {**content, "block_number": start})
    return changed


def _grace_start(state: Tagged) -> int | None:
    return state.get("GracePeriod") if isinstance(state, dict) else None


def _is_deleted(state: Tagged) -> bool:
    return isinstance(state, dict) and "Deleted" in state


def _has_locked(lock: ContractLock) -> bool:
    return bool(lock.amount_locked or lock.extra_amount_locked)


CALLS: dict[str, Handler] = {"bill_contract_for_block": bill_contract_for_block}
