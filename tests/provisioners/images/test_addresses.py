"""Where images may come from."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from provisioners.images.addresses import AddressPolicy, AddressRefused

FARM = (ip_network("185.206.122.0/24"), ip_network("2a10:b600:1::/48"))


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::1",
        "169.254.169.254",
        "fe80::1",
        "fe80::1%eth0",
        "10.99.0.254",
        "192.168.1.1",
        "172.16.0.1",
        "100.64.0.1",
        "fd00::1",
        "0.0.0.0",
        "::",
        "224.0.0.1",
        "ff02::1",
        "255.255.255.255",
        "185.206.122.7",
        "2a10:b600:1::7",
    ],
)
def test_closed_addresses(address: str) -> None:
    with pytest.raises(AddressRefused):
        AddressPolicy().check("images.example", 443, address, FARM)


@pytest.mark.parametrize("address", ["1.1.1.1", "2606:4700::1111", "::ffff:1.1.1.1"])
def test_public_addresses_are_open(address: str) -> None:
    AddressPolicy().check("images.example", 443, address, FARM)


def test_the_nodes_own_ranges_are_closed() -> None:
    with pytest.raises(AddressRefused, match="in a range of this node or farm"):
        AddressPolicy().check("images.example", 443, "1.1.1.1", own=[ip_network("1.1.1.0/24")])


def test_a_configured_host_is_open_by_its_name_in_the_url_only() -> None:
    policy = AddressPolicy(frozenset({"10.99.0.254:8080", "hub.farm"}))
    policy.check("10.99.0.254", 8080, "10.99.0.254")
    policy.check("hub.farm", 80, "127.0.0.1")
    policy.check("HUB.farm", 443, "10.0.0.1")
    with pytest.raises(AddressRefused):
        policy.check("10.99.0.254", 22, "10.99.0.254")
    with pytest.raises(AddressRefused, match=r"evil.example \(10.99.0.254\)"):
        policy.check("evil.example", 8080, "10.99.0.254")


def test_a_configured_ipv6_host_with_port() -> None:
    AddressPolicy(frozenset({"[fd00::1]:8080"})).check("fd00::1", 8080, "fd00::1")
