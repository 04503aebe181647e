"""Amounts of tokens as people write them: `12.5` is 12.5 TFT, which the chain counts in units of 10^-7 TFT."""

from __future__ import annotations

from decimal import Decimal, InvalidOperation

DIGITS = 7
UNITS = 10**DIGITS
MOST_UNITS = 2**64


def parse(text: str) -> int:
    """Units of an amount in TFT.  Raises ValueError naming what is wrong with it."""
    try:
        amount = Decimal(text.strip())
    except InvalidOperation:
        raise ValueError(f"{text!r} is no amount: write it as 12.5") from None
    if not amount.is_finite() or amount <= 0:
        raise ValueError(f"{text!r} is no amount to send: it has to be above zero")
    units = amount * UNITS
    if units != units.to_integral_value():
        raise ValueError(f"{text!r} is too fine: {DIGITS} decimal places are the most")
    if units > MOST_UNITS:
        raise ValueError(f"{text!r} is more than there is")
    return int(units)


def show(units: int) -> str:
    """An amount in TFT with all its decimal places."""
    sign = "-" if units < 0 else ""
    whole, rest = divmod(abs(units), UNITS)
    return f"{sign}{whole}.{rest:0{DIGITS}d} TFT"
