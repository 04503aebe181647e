"""Which destinations are closed to guests: the farm's LAN and the node, unless configuration opens a prefix.

Pure (decision 36).
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network

Network = IPv4Network | IPv6Network

NEVER_PUBLIC: tuple[Network, ...] = tuple(
    ip_network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/128",
        "::1/128",
        "fc00::/7",
        "fe80::/10",
        "ff00::/8",
    )
)
"""Ranges in which a farm's LAN, the node's own plumbing and other tenants live.

198.18.0.0/15 and the documentation ranges are not among them: nobody's LAN is there by right.
"""

PLANETARY = IPv6Network("200::/7")
WIREGUARD_RANGE = IPv4Network("100.64.0.0/16")
NDMZ_RANGE = IPv4Network("100.127.0.0/16")
NDMZ_RANGE6 = IPv6Network("fd00::/64")


def closed_prefixes(on_link: Iterable[Network], opened: Iterable[Network]) -> list[Network]:
    """`NEVER_PUBLIC` and the node's on-link prefixes, without the opened ones; collapsed and sorted."""
    closed: list[Network] = [*NEVER_PUBLIC, *on_link]
    for hole in opened:
        closed = [rest for network in closed for rest in _without(network, hole)]
    four = collapse_addresses([network for network in closed if isinstance(network, IPv4Network)])
    six = collapse_addresses([network for network in closed if isinstance(network, IPv6Network)])
    return [*four, *six]


def _without(network: Network, hole: Network) -> list[Network]:
    if isinstance(network, IPv4Network) and isinstance(hole, IPv4Network):
        if network.subnet_of(hole):
            return []
        return list(network.address_exclude(hole)) if hole.subnet_of(network) else [network]
    if isinstance(network, IPv6Network) and isinstance(hole, IPv6Network):
        if network.subnet_of(hole):
            return []
        return list(network.address_exclude(hole)) if hole.subnet_of(network) else [network]
    return [network]
