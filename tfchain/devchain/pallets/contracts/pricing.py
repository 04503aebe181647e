"""What a contract costs: units, fixed-point prices, the step from dollars to TFT, the discount.

Prices stand in 10^-7 USD an hour.  The arithmetic is the runtime's: unsigned fixed point with 64 fractional bits,
where every division and multiplication drops what does not fit, and the result is rounded to the nearest integer.
"""

from __future__ import annotations

from dataclasses import dataclass

from tfchain.devchain.records import PricingPolicy, Resources

SCALE_BITS = 64
ONE = 1 << SCALE_BITS
HOUR = 3600
MONTH = 30 * 24 * HOUR
UNITS_PER_TFT = 10**7
UNIT_FACTORS = {
    "Bytes": 1,
    "Kilobytes": 1 << 10,
    "Megabytes": 1 << 20,
    "Gigabytes": 1 << 30,
    "Terrabytes": 1 << 40,
}

DISCOUNTS = (
    (18.0, "Gold", 60),
    (6.0, "Silver", 40),
    (3.0, "Bronze", 30),
    (1.5, "Default", 20),
)
"""Months that the balance would last, the level, and the per cent taken off."""


@dataclass(frozen=True, slots=True)
class Due:
    """An amount in units of TFT, and the discount that it already carries."""

    amount: int
    level: str


def multiply(left: int, right: int) -> int:
    return left * right >> SCALE_BITS


def divide(left: int, right: int) -> int:
    return (left << SCALE_BITS) // right


def fixed(number: int) -> int:
    return number << SCALE_BITS


def nearest(value: int) -> int:
    return value + (ONE >> 1) >> SCALE_BITS


def ceiling(value: int) -> int:
    return value + ONE - 1 >> SCALE_BITS


def resources_cost(policy: PricingPolicy, resources: Resources | None, public_ips: int, seconds: int) -> int:
    """Cost of capacity (None: not billed) and public addresses in 10^-7 USD."""
    total = 0
    if resources is not None:
        su_factor = fixed(UNIT_FACTORS[policy.su.unit])
        cu_factor = fixed(UNIT_FACTORS[policy.cu.unit])
        hru = divide(fixed(resources.hru), su_factor)
        sru = divide(fixed(resources.sru), su_factor)
        mru = divide(fixed(resources.mru), cu_factor)
        storage = divide(hru, fixed(1200)) + divide(sru, fixed(200))
        total += multiply(_for_time(policy.su.value, seconds), storage)
        total += multiply(_for_time(policy.cu.value, seconds), _compute(fixed(resources.cru), mru))
    if public_ips:
        total += multiply(fixed(public_ips), _for_time(policy.ipu.value, seconds))
    return nearest(total)


def name_cost(policy: PricingPolicy, seconds: int) -> int:
    return nearest(_for_time(policy.unique_name.value, seconds))


def traffic_cost(policy: PricingPolicy, nru: int, window: int) -> int:
    """Cost of `nru` bytes in `window` seconds; the network unit is 10^9 bytes."""
    used = divide(fixed(nru), fixed(10**9))
    return nearest(multiply(used, _for_time(policy.nu.value, window)))


def dedicated_discount(policy: PricingPolicy, cost: int) -> int:
    """What a tenant of a whole node pays of its cost."""
    return nearest(divide(fixed(cost * policy.discount_for_dedication_nodes), fixed(100)))


def extra_fee(fee: int, seconds: int) -> int:
    """A farmer's extra fee (mUSD a month) in 10^-7 USD."""
    return nearest(multiply(divide(fixed(fee * 10_000), fixed(MONTH)), fixed(seconds)))


def in_tft(cost: int, price: int) -> int:
    """Units of TFT for a cost in 10^-7 USD; `price` in mUSD a TFT."""
    if not price:
        return 0
    in_musd = divide(fixed(cost), fixed(10_000))
    return nearest(multiply(divide(in_musd, fixed(price)), fixed(UNITS_PER_TFT)))


def with_discount(amount: int, seconds: int, balance: int) -> Due:
    """Take the discount off that the balance earns by how many months it would last."""
    if not amount or not seconds:
        return Due(amount, "None")
    monthly = amount * MONTH / seconds
    for months, level, percent in DISCOUNTS:
        if balance >= monthly * months:
            return Due(ceiling(fixed(amount * (100 - percent)) // 100), level)
    return Due(amount, "None")


def _for_time(hourly: int, seconds: int) -> int:
    return multiply(divide(fixed(hourly), fixed(HOUR)), fixed(seconds))


def _compute(cru: int, mru: int) -> int:
    """Compute units: the cheapest of three proportions of memory and cores."""
    return min(
        max(mru // 4, cru // 2),
        max(mru // 8, cru),
        max(mru // 2, cru // 4),
    )
