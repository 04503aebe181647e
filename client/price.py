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
        policy.storage * storage_units(policy, capacity)
        + policy.compute * compute_units(policy, capacity)
        + policy.public_ip * public_ips
    )
    usd = hourly * HOURS / UNITS_IN_USD
    return Price(usd, round(usd * 1000 / tft_price * UNITS_IN_TFT) if tft_price else 0)


def storage_units(policy: PricingPolicy, capacity: Capacity) -> float:
    return capacity.hru / policy.storage_bytes / 1200 + capacity.sru / policy.storage_bytes / 200


def compute_units(policy: PricingPolicy, capacity: Capacity) -> float:
    cores, memory = float(capacity.cru), capacity.mru / policy.compute_bytes
    return min(max(memory / 4, cores / 2), max(memory / 8, cores), max(memory / 2, cores / 4))


def total(prices: Iterable[Price]) -> Price:
    return sum(prices, Price(0.0, 0))


def discount(price: Price, balance: int) -> tuple[str, int]:
    """Level and per cent that a balance (units of 10^-7 TFT) earns, by how many months it would last."""
    for months, level, percent in DISCOUNTS:
        if price.units and balance >= price.units * months:
            return level, percent
    return "None", 0
