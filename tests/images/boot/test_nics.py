"""Choice of the network card."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Address, IPv4Interface

from images.boot.nics import Lease, Nic, choose, explain, should_move


def lease(address: str, router: str | None) -> Lease:
    return Lease(IPv4Interface(address), IPv4Address(router) if router else None)


def nic(name: str, found: Lease | None = None, *, physical: bool = True, carrier: bool = True) -> Nic:
    return Nic(name, f"52:54:00:00:00:{name[-1]}0", physical, carrier, lease=found)


HOME = lease("192.168.1.9/24", "192.168.1.1")


def test_a_private_router_comes_first_and_then_the_lowest_address() -> None:
    public = nic("eth0", lease("5.6.7.8/24", "5.6.7.1"))
    high, low = nic("eth1", lease("10.9.0.9/24", "10.9.0.1")), nic("eth2", lease("10.2.0.9/24", "10.2.0.1"))
    chosen = choose([public, high, low])
    assert chosen is low
    assert choose([public]) is public


def test_addresses_are_compared_as_numbers() -> None:
    first, second = (
        nic("eth1", lease("10.0.0.9/24", "10.0.0.1")),
        nic("eth0", lease("10.0.0.10/24", "10.0.0.1")),
    )
    assert choose([second, first]) is first


def test_a_lease_without_router_does_not_count() -> None:
    found = nic("eth0", lease("10.0.0.9/24", None))
    assert choose([found]) is None
    assert "without a router on eth0 (10.0.0.9/24)" in explain([found])


def test_a_veth_is_never_chosen() -> None:
    assert choose([nic("veth0", HOME, physical=False)]) is None
    assert not should_move("eth0", [nic("eth0", carrier=False), nic("veth0", HOME, physical=False)])


def test_every_way_to_have_no_network_is_a_sentence() -> None:
    assert "no network card" in explain([])
    assert "no network card" in explain([nic("veth0", physical=False)])
    assert "no cable: eth0" in explain([nic("eth0", carrier=False)])
    assert "52:54:00:00:00:00" in explain([nic("eth0")])


def test_the_choice_is_looked_at_again_when_the_cable_moves() -> None:
    old, new = nic("eth0", HOME), nic("eth1")
    assert not should_move("eth0", [old, new])
    assert not should_move("eth0", [replace(old, carrier=False), replace(new, carrier=False)])
    assert should_move("eth0", [replace(old, carrier=False), new])
    assert should_move("eth0", [new])
