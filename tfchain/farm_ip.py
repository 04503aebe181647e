"""The texts in which the chain keeps a farm's public IPv4 addresses."""

from __future__ import annotations

from ipaddress import AddressValueError, IPv4Address, IPv4Interface
from typing import NamedTuple


class FarmAddress(NamedTuple):
    interface: IPv4Interface
    """Address with the prefix length of its network."""
    gateway: IPv4Address


def parse_farm_address(ip: str, gateway: str) -> FarmAddress:
    """Read `185.206.122.33/24` and `185.206.122.1`.

    Raises ValueError, naming the text and what is wrong, for a missing or impossible prefix, leading zeros, a gateway
    with a prefix, one outside the network, or one that is the address itself.
    """
    address, slash, prefix = ip.partition("/")
    if not slash:
        raise ValueError(f"public address {ip!r} has no prefix length: write it like 185.206.122.33/24")
    if not (prefix.isascii() and prefix.isdigit() and len(prefix) <= 2 and str(int(prefix)) == prefix):
        raise ValueError(f"public address {ip!r}: {prefix!r} is no prefix length between 0 and 32")
    try:
        interface = IPv4Interface(f"{IPv4Address(address)}/{prefix}")
    except ValueError as error:
        raise ValueError(f"public address {ip!r} is not IPv4 with a prefix length: {error}") from None
    try:
        router = IPv4Address(gateway)
    except AddressValueError as error:
        raise ValueError(f"gateway {gateway!r} of {ip} is not a plain IPv4 address: {error}") from None
    if router not in interface.network:
        raise ValueError(f"gateway {gateway} is outside {interface.network}, the network of {ip}")
    if router == interface.ip:
        raise ValueError(f"gateway {gateway} is the address {ip} itself")
    return FarmAddress(interface, router)
