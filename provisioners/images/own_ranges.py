"""The networks that this machine is part of."""

from __future__ import annotations

import socket
from ipaddress import ip_address, ip_network

import psutil

from provisioners.images.addresses import Network

_WIDEST = {4: 16, 6: 32}
"""A wider prefix (the planetary 200::/7) is a whole world, not a farm: only the node's own address counts then."""


def own_ranges() -> list[Network]:
    """The on-link networks of all interfaces in the daemon's namespace."""
    ranges: list[Network] = []
    for addresses in psutil.net_if_addrs().values():
        for entry in addresses:
            if entry.family not in (socket.AF_INET, socket.AF_INET6):
                continue
            address = ip_address(entry.address.partition("%")[0])
            prefix = _prefix_length(entry.netmask, address.max_prefixlen)
            if prefix < _WIDEST[address.version]:
                prefix = address.max_prefixlen
            ranges.append(ip_network(f"{address}/{prefix}", strict=False))
    return ranges


def _prefix_length(netmask: str | None, longest: int) -> int:
    if not netmask:
        return longest
    return int(ip_address(netmask)).bit_count()
