"""TFTPriceModule (28): the price of TFT in mUSD, as billing takes it.

On the public networks the validators' off-chain workers set a price every few blocks; here whoever makes the blocks
may, and whoever the state names as a validator.
"""

from __future__ import annotations

from tfchain.devchain.calls import Handler
from tfchain.devchain.context import Context
from tfchain.devchain.dispatch import ModuleFailure
from tfchain.devchain.storage import DefaultMap, DefaultValue

PALLET = "TFTPriceModule"
KEPT_PRICES = 1440
"""Prices of which the average is made: a day of one each minute."""

PRICE: DefaultValue[int] = DefaultValue(PALLET, "TftPrice")
AVERAGE_PRICE: DefaultValue[int] = DefaultValue(PALLET, "AverageTftPrice")
LOWEST_PRICE: DefaultValue[int] = DefaultValue(PALLET, "MinTftPrice")
HIGHEST_PRICE: DefaultValue[int] = DefaultValue(PALLET, "MaxTftPrice")
LAST_BLOCK: DefaultValue[int] = DefaultValue(PALLET, "LastBlockSet")
HISTORY: DefaultMap[int, int] = DefaultMap(PALLET, "TftPriceHistory")
RANGE: DefaultValue[tuple[int, int]] = DefaultValue(PALLET, "BufferRange")
"""First place in the history, and the one behind the last; equal when it is empty."""

VALIDATORS: DefaultValue[list[bytes]] = DefaultValue("Session", "Validators")


def billing_price(ctx: Context) -> int:
    """The average, kept between the bounds."""
    return min(max(AVERAGE_PRICE.get(ctx), LOWEST_PRICE.get(ctx)), HIGHEST_PRICE.get(ctx))


def set_prices(ctx: Context, price: int, block_number: int) -> None:
    """Take a price, and make the average anew."""
    account = ctx.signer()
    if account != ctx.block.author and account not in VALIDATORS.get(ctx):
        raise ModuleFailure(PALLET, "AccountUnauthorizedToSetPrice")
    LAST_BLOCK.put(ctx, block_number)
    PRICE.put(ctx, price)
    ctx.deposit(PALLET, "PriceStored", price)
    average = _remember(ctx, price)
    AVERAGE_PRICE.put(ctx, average)
    ctx.deposit(PALLET, "AveragePriceStored", average)
    lowest, highest = LOWEST_PRICE.get(ctx), HIGHEST_PRICE.get(ctx)
    if average < lowest:
        ctx.deposit(PALLET, "AveragePriceIsBelowMinPrice", (average, lowest))
    if average > highest:
        ctx.deposit(PALLET, "AveragePriceIsAboveMaxPrice", (average, highest))


def set_min_tft_price(ctx: Context, price: int) -> None:
    """Set the lower bound of what is billed."""
    ctx.require_root_or_council()
    if price >= HIGHEST_PRICE.get(ctx):
        raise ModuleFailure(PALLET, "MinPriceAboveMaxPriceError")
    LOWEST_PRICE.put(ctx, price)


def set_max_tft_price(ctx: Context, price: int) -> None:
    """Set the upper bound of what is billed."""
    ctx.require_root_or_council()
    if price <= LOWEST_PRICE.get(ctx):
        raise ModuleFailure(PALLET, "MaxPriceBelowMinPriceError")
    HIGHEST_PRICE.put(ctx, price)


def _remember(ctx: Context, price: int) -> int:
    """Put a price into the ring; the average of all that it holds."""
    first, end = RANGE.get(ctx)
    HISTORY.put(ctx, end, price)
    end = (end + 1) % (KEPT_PRICES + 1)
    if end == first:
        HISTORY.delete(ctx, first)
        first = (first + 1) % (KEPT_PRICES + 1)
    RANGE.put(ctx, (first, end))
    count = (end - first) % (KEPT_PRICES + 1)
    kept = [HISTORY.get(ctx, (first + place) % (KEPT_PRICES + 1)) for place in range(count)]
    return sum(kept) // count


CALLS: dict[str, Handler] = {
    "set_prices": set_prices,
    "set_min_tft_price": set_min_tft_price,
    "set_max_tft_price": set_max_tft_price,
}
