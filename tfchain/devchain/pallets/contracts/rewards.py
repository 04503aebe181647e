"""Paying out what contracts locked: to the foundation, the staking pool, sales; the rest is burned."""

from __future__ import annotations

from tfchain.devchain.context import Context
from tfchain.devchain.pallets import funds
from tfchain.devchain.pallets.contracts.store import EXTRA_FEE, PALLET, SOLUTION_PROVIDERS
from tfchain.devchain.pallets.tfgrid.store import FARMS, NODES, PRICING, TWINS
from tfchain.devchain.records import Contract, ContractLock, RentContract

GRID_LOCK = b"gridlock"
STAKING_POOL = b"development staking pool".ljust(32, b"\0")
"""Our own; the account of the public networks is fixed in their runtime."""

FOUNDATION_PERCENT = 10
STAKING_PERCENT = 5
SALES_PERCENT = 50


def pay_out(ctx: Context, ended: Contract, lock: ContractLock, payer: bytes) -> ContractLock:
    """Unlock and distribute; the emptied lock.  Never takes more than the payer has left."""
    locked = funds.locked_by(ctx, payer, GRID_LOCK)
    remaining = max(0, locked - lock.amount_locked - lock.extra_amount_locked)
    funds.set_lock(ctx, payer, GRID_LOCK, remaining)
    if lock.extra_amount_locked:
        _pay_farmer(ctx, ended, min(lock.extra_amount_locked, _spendable(ctx, payer)), payer)
    _distribute(ctx, ended, min(lock.amount_locked, _spendable(ctx, payer)), payer)
    return ContractLock(0, 0, ctx.block.time, 0)


def _spendable(ctx: Context, payer: bytes) -> int:
    info = funds.ACCOUNTS.get(ctx, payer)
    return max(0, info.data.free - max(info.data.frozen, funds.EXISTENTIAL_DEPOSIT))


def _pay_farmer(ctx: Context, ended: Contract, amount: int, payer: bytes) -> None:
    data = ended.contract_type
    if not isinstance(data, RentContract) or not EXTRA_FEE.get(ctx, data.node_id):
        return
    node = NODES.get(ctx, data.node_id)
    farm = FARMS.get(ctx, node.farm_id) if node else None
    twin = TWINS.get(ctx, farm.twin_id) if farm else None
    if twin is not None:
        _send(ctx, payer, twin.account_id, amount)


def _distribute(ctx: Context, ended: Contract, amount: int, payer: bytes) -> None:
    prices = PRICING.get(ctx, 1)
    if prices is None or not amount:
        return
    foundation = _percent(FOUNDATION_PERCENT, amount)
    staking = _percent(STAKING_PERCENT, amount)
    _send(ctx, payer, prices.foundation_account, foundation)
    _send(ctx, payer, STAKING_POOL, staking)
    sales = SALES_PERCENT
    if ended.solution_provider_id is not None:
        provider = SOLUTION_PROVIDERS.get(ctx, ended.solution_provider_id)
        for taker in provider.providers if provider else ():
            sales -= taker.take
            _send(ctx, payer, taker.who, _percent(taker.take, amount))
    _send(ctx, payer, prices.certified_sales_account, _percent(max(sales, 0), amount))
    burned = _percent(50, amount) - foundation - staking
    funds.burn(ctx, payer, burned)
    ctx.deposit(PALLET, "TokensBurned", {"contract_id": ended.contract_id, "amount": burned})


def _send(ctx: Context, payer: bytes, target: bytes, amount: int) -> None:
    """A share that is too small to make its account is not sent."""
    if amount and (funds.exists(ctx, target) or amount >= funds.EXISTENTIAL_DEPOSIT):
        funds.transfer(ctx, payer, target, amount, keep_alive=True)


def _percent(percent: int, amount: int) -> int:
    """Rounded to the nearest unit, as the runtime's `Perbill` does."""
    return (percent * amount * 2 + 100) // 200
