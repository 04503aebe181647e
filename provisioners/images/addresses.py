"""Which addresses the image store may talk to (decision 41).  Pure.

A deployment names any URL it likes.  Without this, a tenant could make the node fetch from the farm's own machines
or from the node itself and read the answer inside his guest.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

_NAT64 = IPv6Network("64:ff9b::/96")
_SIX_TO_FOUR = IPv6Network("2002::/16")


class AddressRefused(Exception):
    """The node's configuration does not let images come from there."""


@dataclass(frozen=True, slots=True)
class AddressPolicy:
    """Public addresses are open, everything else is closed unless the configuration opens a host."""

    allowed_hosts: frozenset[str] = frozenset()
    """`host` or `host:port` exactly as it stands in a URL, in lower case; may resolve to anything."""

    def is_open_host(self, host: str, port: int) -> bool:
        """Whether the configuration opens this host, whatever it resolves to."""
        name = host.lower().strip("[]")
        return not self.allowed_hosts.isdisjoint({name, f"{name}:{port}", f"[{name}]:{port}"})

    def check(self, host: str, port: int, address: str, own: Iterable[Network] = ()) -> None:
        """Refuse an address that `host` resolved to.  `own`: ranges of node and farm.  Raises AddressRefused."""
        if self.is_open_host(host, port):
            return
        target = plain(ip_address(address.partition("%")[0]))
        reason = _why_closed(target, own)
        if reason is not None:
            shown = host if host == str(target) else f"{host} ({target})"
            raise AddressRefused(f"{shown} is {reason}; images have to come from a public address")


def plain(address: Address) -> Address:
    """The address that is really reached: IPv4 inside of IPv6 comes out."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return address.ipv4_mapped
        if address in _NAT64:
            return IPv4Address(address.packed[-4:])
        if address in _SIX_TO_FOUR:
            return IPv4Address(address.packed[2:6])
    return address


def _why_closed(address: Address, networks: Iterable[Network]) -> str | None:
    if any(network.version == address.version and address in network for network in networks):
        return "in a range of this node or farm"
    for closed, reason in (
        (address.is_loopback, "a loopback address"),
        (address.is_link_local, "a link-local address"),
        (address.is_multicast, "a multicast address"),
        (address.is_unspecified, "an unspecified address"),
        (not address.is_global, "not a public address"),
    ):
        if closed:
            return reason
    return None
