"""What a deployment costs by the month, as the chain will bill it.  Pure.

A storage unit is 1200 units of HDD or 200 of SSD, a compute unit the cheapest of three proportions of memory and
cores, both for 30 days of 24 hours; floating point differs from the runtime's fixed point by less than it rounds.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gridtypes import Capacity
from tfchain.models import PricingPolicy

HOURS = 30 * 24
UNITS_IN_USD = 10_000_000
UNITS_IN_TFT = 10_000_000
UNIT_BYTES = {
    "Bytes": 1,
    "Kilobytes": 1 << 10,
    "Megabytes": 1 << 20,
    "Gigabytes": 1 << 30,
    "Terrabytes": 1 << 40,
}
"""What a price list counts in, in the runtime's own spelling."""
DISCOUNTS = ((18.0, "Gold", 60), (6.0, "Silver", 40), (3.0, "Bronze", 30), (1.5, "Default", 20))
"""Months that the balance would last, the level, and the per cent taken off."""


@dataclass(frozen=True, slots=True)
class Price:
    """For 30 days, before any discount."""

    usd: float
    units: int
    """Of 10^-7 TFT; 0 while the chain knows no price."""

    def __add__(self, other: Price) -> Price:
        return Price(self.usd + other.usd, self.units + other.units)


def monthly(policy: PricingPolicy, capacity: Capacity, public_ips: int, tft_price: int) -> Price:
    """`tft_price`: 10^-3 USD for one TFT."""
    hourly = (
        policy.su.value * storage_units(policy, capacity)
        + policy.cu.value * compute_units(policy, capacity)
        + policy.ipu.value * public_ips
    )
    usd = hourly * HOURS / UNITS_IN_USD
    return Price(usd, round(usd * 1000 / tft_price * UNITS_IN_TFT) if tft_price else 0)


def storage_units(policy: PricingPolicy, capacity: Capacity) -> float:
    return capacity.hru / UNIT_BYTES[policy.su.unit] / 1200 + capacity.sru / UNIT_BYTES[policy.su.unit] / 200


def compute_units(policy: PricingPolicy, capacity: Capacity) -> float:
    cores, memory = float(capacity.cru), capacity.mru / UNIT_BYTES[policy.cu.unit]
    return min(max(memory / 4, cores / 2), max(memory / 8, cores), max(memory / 2, cores / 4))


def total(prices: Iterable[Price]) -> Price:
    return sum(prices, Price(0.0, 0))


def discount(price: Price, balance: int) -> tuple[str, int]:
    """Level and per cent that a balance (units of 10^-7 TFT) earns, by how many months it would last."""
    for months, level, percent in DISCOUNTS:
        if price.units and balance >= price.units * months:
            return level, percent
    return "None", 0
