"""TFTPriceModule (28): the price of TFT in mUSD, as billing takes it."""

from __future__ import annotations

from tfchain.devchain.context import Context
from tfchain.devchain.storage import DefaultValue

PRICE: DefaultValue[int] = DefaultValue("TFTPriceModule", "TftPrice")
AVERAGE_PRICE: DefaultValue[int] = DefaultValue("TFTPriceModule", "AverageTftPrice")
LOWEST_PRICE: DefaultValue[int] = DefaultValue("TFTPriceModule", "MinTftPrice")
HIGHEST_PRICE: DefaultValue[int] = DefaultValue("TFTPriceModule", "MaxTftPrice")


def billing_price(ctx: Context) -> int:
    """The average, kept between the bounds."""
    return min(max(AVERAGE_PRICE.get(ctx), LOWEST_PRICE.get(ctx)), HIGHEST_PRICE.get(ctx))
