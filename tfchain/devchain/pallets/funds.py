"""Accounts and what they hold: deposits, withdrawals, transfers, locks.

The arithmetic follows pallet-balances: an account lives while it holds the existential deposit, frozen funds stay,
and whoever falls under the deposit is removed with the dust.
"""

from __future__ import annotations

from dataclasses import replace

from tfchain.devchain.context import Context
from tfchain.devchain.dispatch import ArithmeticFailure, TokenFailure
from tfchain.devchain.records import AccountData, AccountInfo, BalanceLock
from tfchain.devchain.storage import DefaultMap, DefaultValue

EXISTENTIAL_DEPOSIT = 500
"""Units below which an account is removed (1 TFT = 10^7 units)."""

NEW_LOGIC = 1 << 127
"""Flag of accounts in the present format."""

MOST_UNITS = 1 << 128

ACCOUNTS: DefaultMap[bytes, AccountInfo] = DefaultMap("System", "Account")
LOCKS: DefaultMap[bytes, list[BalanceLock]] = DefaultMap("Balances", "Locks")
TOTAL_ISSUANCE: DefaultValue[int] = DefaultValue("Balances", "TotalIssuance")


def exists(ctx: Context, account: bytes) -> bool:
    return ACCOUNTS.get(ctx, account).providers > 0


def usable(ctx: Context, account: bytes) -> int:
    """What the account may spend: everything but frozen funds, and the deposit where others rely on it."""
    info = ACCOUNTS.get(ctx, account)
    untouchable = max(0, info.data.frozen - info.data.reserved)
    if info.consumers:
        untouchable = max(untouchable, EXISTENTIAL_DEPOSIT)
    return max(0, info.data.free - untouchable)


def can_pay_fee(info: AccountInfo, fee: int) -> bool:
    """Whether a fee can be taken and the account lives on."""
    return info.providers > 0 and info.data.free - fee >= max(EXISTENTIAL_DEPOSIT, info.data.frozen)


def take_fee(ctx: Context, account: bytes, fee: int) -> None:
    """Withdraw a fee; the caller has checked `can_pay_fee`."""
    _set_free(ctx, account, ACCOUNTS.get(ctx, account).data.free - fee)
    ctx.deposit("Balances", "Withdraw", {"who": account, "amount": fee})


def give(ctx: Context, account: bytes, amount: int) -> None:
    """Credit an account, making it when it does not exist and the amount suffices; event Deposit."""
    if amount == 0:
        return
    if not exists(ctx, account) and amount < EXISTENTIAL_DEPOSIT:
        issue(ctx, -amount)
        return
    _credit(ctx, account, amount)
    ctx.deposit("Balances", "Deposit", {"who": account, "amount": amount})


def burn(ctx: Context, account: bytes, amount: int) -> None:
    """Destroy units of an account; event Withdraw."""
    if amount == 0:
        return
    if amount > usable(ctx, account):
        raise TokenFailure("FundsUnavailable")
    _debit(ctx, account, amount, keep_alive=True)
    issue(ctx, -amount)
    ctx.deposit("Balances", "Withdraw", {"who": account, "amount": amount})


def issue(ctx: Context, amount: int) -> None:
    TOTAL_ISSUANCE.put(ctx, TOTAL_ISSUANCE.get(ctx) + amount)


def transfer(ctx: Context, source: bytes, target: bytes, amount: int, *, keep_alive: bool) -> None:
    """Move units; raises `TokenFailure` as pallet-balances does."""
    info = ACCOUNTS.get(ctx, source)
    if amount > info.data.free:
        raise TokenFailure("FundsUnavailable")
    if amount > max(0, info.data.free - info.data.frozen):
        raise TokenFailure("Frozen")
    left = info.data.free - amount
    if left < EXISTENTIAL_DEPOSIT and (keep_alive or info.consumers):
        raise TokenFailure("NotExpendable")
    receiver = ACCOUNTS.get(ctx, target)
    if receiver.data.free + amount >= MOST_UNITS:
        raise ArithmeticFailure("Overflow")
    if receiver.data.free + amount < EXISTENTIAL_DEPOSIT:
        raise TokenFailure("BelowMinimum")
    if source == target:
        return
    _debit(ctx, source, amount, keep_alive=keep_alive)
    _credit(ctx, target, amount)
    ctx.deposit("Balances", "Transfer", {"from": source, "to": target, "amount": amount})


def endow(ctx: Context, account: bytes, amount: int) -> None:
    """Give an account its first units, from nothing."""
    issue(ctx, amount)
    _credit(ctx, account, amount)


def set_lock(ctx: Context, account: bytes, identifier: bytes, amount: int) -> None:
    """Set how much of an account one lock freezes; 0 removes the lock."""
    before = LOCKS.get(ctx, account)
    kept = [lock for lock in before if lock.id != identifier]
    if amount:
        kept.append(BalanceLock(identifier, amount, "All"))
    if kept:
        LOCKS.put(ctx, account, kept)
    else:
        LOCKS.delete(ctx, account)
    info = ACCOUNTS.get(ctx, account)
    frozen = max((lock.amount for lock in kept), default=0)
    consumers = info.consumers + (bool(kept) - bool(before)) + (bool(frozen) - bool(info.data.frozen))
    ACCOUNTS.put(ctx, account, replace(info, consumers=consumers, data=replace(info.data, frozen=frozen)))
    if frozen != info.data.frozen:
        name, amount = (
            ("Locked", frozen - info.data.frozen)
            if frozen > info.data.frozen
            else ("Unlocked", info.data.frozen - frozen)
        )
        ctx.deposit("Balances", name, {"who": account, "amount": amount})


def locked_by(ctx: Context, account: bytes, identifier: bytes) -> int:
    return next((lock.amount for lock in LOCKS.get(ctx, account) if lock.id == identifier), 0)


def _credit(ctx: Context, account: bytes, amount: int) -> None:
    if exists(ctx, account):
        _set_free(ctx, account, ACCOUNTS.get(ctx, account).data.free + amount)
        return
    nonce = ACCOUNTS.get(ctx, account).nonce
    ACCOUNTS.put(ctx, account, AccountInfo(nonce, 0, 1, 0, AccountData(amount, 0, 0, NEW_LOGIC)))
    ctx.deposit("System", "NewAccount", {"account": account})
    ctx.deposit("Balances", "Endowed", {"account": account, "free_balance": amount})


def _debit(ctx: Context, account: bytes, amount: int, *, keep_alive: bool) -> None:
    left = ACCOUNTS.get(ctx, account).data.free - amount
    if left >= EXISTENTIAL_DEPOSIT or keep_alive:
        _set_free(ctx, account, left)
        return
    ACCOUNTS.delete(ctx, account)
    ctx.deposit("System", "KilledAccount", {"account": account})
    if left:
        issue(ctx, -left)
        ctx.deposit("Balances", "DustLost", {"account": account, "amount": left})


def _set_free(ctx: Context, account: bytes, free: int) -> None:
    info = ACCOUNTS.get(ctx, account)
    ACCOUNTS.put(ctx, account, replace(info, data=replace(info.data, free=free)))
