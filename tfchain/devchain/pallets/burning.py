"""BurningModule (29): units that an account gives up for good, with a word about why."""

from __future__ import annotations

from tfchain.devchain.calls import Handler
from tfchain.devchain.context import Context
from tfchain.devchain.dispatch import ModuleFailure
from tfchain.devchain.pallets import funds
from tfchain.devchain.records import Burn
from tfchain.devchain.storage import OptionalValue

PALLET = "BurningModule"

BURNS: OptionalValue[list[Burn]] = OptionalValue(PALLET, "Burns")


def burn_tft(ctx: Context, amount: int, message: bytes) -> None:
    """Destroy units of the caller, who lives on."""
    account = ctx.signer()
    if amount > funds.usable(ctx, account) - funds.EXISTENTIAL_DEPOSIT:
        raise ModuleFailure(PALLET, "NotEnoughBalanceToBurn")
    funds.burn(ctx, account, amount)
    number = ctx.block.number
    BURNS.put(ctx, [*(BURNS.get(ctx) or []), Burn(account, amount, number, message)])
    ctx.deposit(PALLET, "BurnTransactionCreated", (account, amount, number, message))


CALLS: dict[str, Handler] = {"burn_tft": burn_tft}
