"""Texts of IP addresses and networks as Go reads and writes them.

Values are those of `ipaddress`; an IPv4-mapped IPv6 address is the IPv4 address it stands for.
"""

from __future__ import annotations

import re
from ipaddress import (
    AddressValueError,
    IPv4Address,
    IPv4Interface,
    IPv6Address,
    IPv6Interface,
)

IPAddress = IPv4Address | IPv6Address
IPNet = IPv4Interface | IPv6Interface
"""An address with a prefix length; host bits are kept."""

_PREFIX = re.compile(r"[0-9]+")
_MAPPED_BITS = 96


def parse_ip(text: str) -> IPAddress:
    """Raises ValueError with Go's text."""
    address = _parse(text)
    if address is None:
        raise ValueError(f"invalid IP address: {text}")
    return _unmapped(address)


def parse_ipnet(text: str) -> IPNet:
    """`<address>/<prefix>`.  Raises ValueError with Go's text."""
    address_text, _, prefix_text = text.partition("/")
    address = _parse(address_text)
    # a longer run of digits is either padded with zeros or out of range anyway
    prefix = int(prefix_text.lstrip("0")[:4] or 0) if _PREFIX.fullmatch(prefix_text) else -1
    if address is None or not 0 <= prefix <= address.max_prefixlen:
        raise ValueError(f"invalid CIDR address: {text}")
    plain = _unmapped(address)
    if plain.version != address.version:
        prefix = max(0, prefix - _MAPPED_BITS)
    if isinstance(plain, IPv4Address):
        return IPv4Interface((plain, prefix))
    return IPv6Interface((plain, prefix))


def is_loopback(address: IPAddress) -> bool:
    return address.is_loopback


def _parse(text: str) -> IPAddress | None:
    if "%" in text or not text.isascii():
        return None
    try:
        return IPv6Address(text) if ":" in text else IPv4Address(text)
    except (AddressValueError, ValueError):
        return None


def _unmapped(address: IPAddress) -> IPAddress:
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address
