"""Which addresses of a node are shown (node-api §5.3, §5.4).  Pure."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_interface

UNIQUE_LOCAL = IPv6Network("fc00::/7")
PLANETARY = IPv6Network("200::/7")


def shown(addresses: Iterable[str]) -> list[str]:
    """Global unicast addresses that are not unique-local, without prefix length; private IPv4 is shown."""
    return [str(address) for text in addresses if _shown(address := ip_interface(text).ip)]


def has_public_ipv6(addresses: Iterable[str]) -> bool:
    """Whether a global unicast IPv6 address is among them that is neither unique-local nor planetary."""
    return any(
        isinstance(address, IPv6Address) and _shown(address) and address not in PLANETARY
        for text in addresses
        for address in [ip_interface(text).ip]
    )


def _shown(address: IPv4Address | IPv6Address) -> bool:
    if address.is_loopback or address.is_link_local or address.is_multicast or address.is_unspecified:
        return False
    return not (isinstance(address, IPv6Address) and address in UNIQUE_LOCAL)
