"""What the client says a deployment costs is what the chain bills."""

from __future__ import annotations

import pytest

from client import price
from client.price import Price
from gridtypes import GIB, Capacity
from tfchain.devchain.pallets.contracts import pricing as billed
from tfchain.devchain.records import Policy as StoredPolicy
from tfchain.devchain.records import PricingPolicy as Stored
from tfchain.devchain.records import Resources
from tfchain.models import Policy, PricingPolicy


def of(value: int) -> Policy:
    return Policy(value, "Gigabytes")


POLICY = PricingPolicy(
    "p", of(50_000), of(100_000), of(15_000), of(40_000), of(2_500), of(5_000), b"", b"", 50, 1
)


def stored() -> Stored:
    def of(value: int) -> StoredPolicy:
        return StoredPolicy(value, "Gigabytes")

    return Stored(
        1, 1, b"p", of(50_000), of(100_000), of(15_000), of(40_000), of(2_500), of(5_000), b"", b"", 50
    )


@pytest.mark.parametrize(
    ("capacity", "ips"),
    [
        (Capacity(cru=1, mru=2 * GIB, sru=10 * GIB), 0),
        (Capacity(cru=8, mru=GIB, sru=0), 1),
        (Capacity(cru=1, mru=64 * GIB, hru=1000 * GIB), 2),
        (Capacity(), 1),
        (Capacity(), 0),
    ],
)
def test_as_the_chain_bills_it(capacity: Capacity, ips: int) -> None:
    used = Resources(hru=capacity.hru, sru=capacity.sru, cru=capacity.cru, mru=capacity.mru)
    units = billed.resources_cost(stored(), used, ips, billed.MONTH)
    ours = price.monthly(POLICY, capacity, ips, 50)
    assert ours.usd * price.UNITS_IN_USD == pytest.approx(units, abs=2)
    assert ours.units == pytest.approx(billed.in_tft(units, 50), rel=1e-6, abs=300)


def test_without_a_price_of_the_token() -> None:
    assert price.monthly(POLICY, Capacity(cru=1, mru=GIB), 0, 0).units == 0


@pytest.mark.parametrize("months", [0.0, 1.5, 3.0, 6.0, 18.0, 100.0])
def test_the_discount_is_that_of_the_chain(months: float) -> None:
    cost = Price(1.0, 1_000_000)
    balance = int(months * cost.units)
    assert price.discount(cost, balance)[0] == billed.with_discount(cost.units, billed.MONTH, balance).level
