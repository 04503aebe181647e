"""Balances (20): transfers between accounts."""

from __future__ import annotations

from typing import Any

from tfchain.devchain.calls import Handler
from tfchain.devchain.context import Context
from tfchain.devchain.dispatch import CannotLookup
from tfchain.devchain.pallets import funds


def transfer_allow_death(ctx: Context, dest: Any, value: int) -> None:
    funds.transfer(ctx, ctx.signer(), account_of(dest), value, keep_alive=False)


def transfer_keep_alive(ctx: Context, dest: Any, value: int) -> None:
    funds.transfer(ctx, ctx.signer(), account_of(dest), value, keep_alive=True)


def transfer_all(ctx: Context, dest: Any, keep_alive: bool) -> None:
    source = ctx.signer()
    amount = funds.usable(ctx, source)
    if keep_alive:
        info = funds.ACCOUNTS.get(ctx, source)
        amount = max(0, info.data.free - max(funds.EXISTENTIAL_DEPOSIT, info.data.frozen))
    funds.transfer(ctx, source, account_of(dest), amount, keep_alive=keep_alive)


def account_of(address: Any) -> bytes:
    """The account of a MultiAddress; only the form `Id` names one."""
    if isinstance(address, dict) and isinstance(address.get("Id"), bytes):
        account: bytes = address["Id"]
        return account
    raise CannotLookup("only account ids are served")


CALLS: dict[str, Handler] = {
    "transfer_allow_death": transfer_allow_death,
    "transfer_keep_alive": transfer_keep_alive,
    "transfer_all": transfer_all,
    "transfer": transfer_allow_death,
}
