"""The text of the bridge rules that bind guests' taps to their addresses (`network-linux.md` §7.3, strict).

Pure.  One table in the node's namespace; two maps lead from a tap to its chains.  A tap that is in no map passes
nothing, so there is no unfiltered moment, and a filter can exist before its tap.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from provisioners.system.derive import link_local
from provisioners.system.prefixes import Network

_ND = "{ nd-router-solicit, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-report, mld2-listener-report }"
_DAD = "{ nd-router-solicit, nd-neighbor-solicit, mld-listener-report, mld2-listener-report }"
_VLAN = "ether type { 8021q, 8021ad } counter drop"


@dataclass(frozen=True, slots=True)
class TapFilter:
    """What may pass one tap."""

    tap: str
    """Name of the tap, two-character prefix included."""
    mac: str
    ipv4: IPv4Address | None
    ipv6: IPv6Address | None
    """The guest's global IPv6 address; its link-local one follows from the MAC."""
    on_lan: bool = False
    """True for a tap on the segment that the farm's LAN shares: closed prefixes apply, both ways."""

    @property
    def chain(self) -> str:
        return f"r-{self.tap[2:]}"


def base_table(local_ports: Iterable[str], closed: Iterable[Network]) -> str:
    """The table, its hooks and the closed prefixes; taps that are already in the maps keep their filters.

    `local_ports` are the bridge ports whose frames may be delivered to the node itself.  All other bridges carry
    guests: without the `input` rule a guest could reach the node's addresses through a bridge that has none.
    """
    ports = ", ".join(f'"{port}"' for port in local_ports)
    networks = list(closed)
    four = ", ".join(str(network) for network in networks if isinstance(network, IPv4Network))
    six = ", ".join(str(network) for network in networks if isinstance(network, IPv6Network))
    lines = [
        "add table bridge filter",
        "add map bridge filter from_guest { type ifname : verdict; }",
        "add map bridge filter to_guest { type ifname : verdict; }",
        "add set bridge filter closed4 { type ipv4_addr; flags interval; }",
        "add set bridge filter closed6 { type ipv6_addr; flags interval; }",
        "add chain bridge filter prerouting { type filter hook prerouting priority -200; policy accept; }",
        "add chain bridge filter postrouting { type filter hook postrouting priority -200; policy accept; }",
        "add chain bridge filter input { type filter hook input priority -200; policy accept; }",
        *(f"flush chain bridge filter {chain}" for chain in ("prerouting", "postrouting", "input")),
        *(f"flush set bridge filter {name}" for name in ("closed4", "closed6")),
        f"add element bridge filter closed4 {{ {four} }}" if four else "",
        f"add element bridge filter closed6 {{ {six} }}" if six else "",
        'add rule bridge filter prerouting iifname "p-tozos" accept',
        "add rule bridge filter prerouting iifname vmap @from_guest",
        'add rule bridge filter prerouting iifname "t-*" counter drop',
        'add rule bridge filter prerouting iifname "p-*" counter drop',
        'add rule bridge filter postrouting oifname "p-tozos" accept',
        "add rule bridge filter postrouting oifname vmap @to_guest",
        'add rule bridge filter postrouting oifname "t-*" counter drop',
        'add rule bridge filter postrouting oifname "p-*" counter drop',
        f"add rule bridge filter input iifname != {{ {ports} }} counter drop",
    ]
    return "\n".join(lines) + "\n"


def install(filter: TapFilter) -> str:
    """Make or replace the filter of a tap, in one transaction."""
    pre, post = f"{filter.chain}-pre", f"{filter.chain}-post"
    lines = [
        f"add chain bridge filter {pre}",
        f"add chain bridge filter {post}",
        f"flush chain bridge filter {pre}",
        f"flush chain bridge filter {post}",
        *(f"add rule bridge filter {pre} {rule}" for rule in _from_guest(filter)),
        *(f"add rule bridge filter {post} {rule}" for rule in _to_guest(filter)),
        f'add element bridge filter from_guest {{ "{filter.tap}" : jump {pre} }}',
        f'add element bridge filter to_guest {{ "{filter.tap}" : jump {post} }}',
    ]
    return "\n".join(lines) + "\n"


def remove(tap: str) -> str:
    """Take a tap's filter away; safe to repeat, because what is deleted is first made sure to exist."""
    chain = f"r-{tap[2:]}"
    lines = ["add table bridge filter"]
    for map, hook in (("from_guest", f"{chain}-pre"), ("to_guest", f"{chain}-post")):
        lines += [
            f"add map bridge filter {map} {{ type ifname : verdict; }}",
            f"add chain bridge filter {hook}",
            f'add element bridge filter {map} {{ "{tap}" : jump {hook} }}',
            f'delete element bridge filter {map} {{ "{tap}" }}',
            f"flush chain bridge filter {hook}",
            f"delete chain bridge filter {hook}",
        ]
    return "\n".join(lines) + "\n"


def _from_guest(filter: TapFilter) -> list[str]:
    mac, local = filter.mac, link_local(filter.mac)
    rules = [f"ether saddr != {mac} counter drop", _VLAN]
    if filter.ipv4:
        source = f"ip saddr {filter.ipv4}"
        rules += [
            "arp htype 1 arp ptype ip arp operation { request, reply } "
            f"arp saddr ether {mac} arp saddr ip {{ 0.0.0.0, {filter.ipv4} }} accept",
            f"{source} udp sport 67 counter drop",  # a DHCP server's reply
            *([f"{source} ip daddr @closed4 counter drop"] if filter.on_lan else []),
            f"{source} accept",
        ]
    if filter.ipv6:
        own = f"{{ {filter.ipv6}, {local} }}"
        targets = f"{{ {_hex(filter.ipv6)}, {_hex(local)} }}"
        rules += [
            "icmpv6 type { nd-router-advert, nd-redirect } counter drop",
            f"icmpv6 type nd-neighbor-advert @th,64,128 != {targets} counter drop",
            f"ip6 saddr :: icmpv6 type {_DAD} accept",
        ]
        if filter.on_lan:
            rules += [
                f"ip6 saddr {own} icmpv6 type {_ND} accept",
                "ip6 daddr @closed6 counter drop",  # link-local and multicast ones are in it
                f"ip6 saddr {filter.ipv6} udp sport 547 counter drop",
                f"ip6 saddr {filter.ipv6} accept",
            ]
        else:
            rules += ["udp sport 547 counter drop", f"ip6 saddr {own} accept"]
    return [*rules, "counter drop"]


def _to_guest(filter: TapFilter) -> list[str]:
    mac, local = filter.mac, link_local(filter.mac)
    rules = [_VLAN]
    if filter.ipv4:
        target = f"ether daddr {mac} ip daddr {filter.ipv4}"
        rules += [
            "arp operation { request, reply } accept",
            *([f"{target} ip saddr @closed4 counter drop"] if filter.on_lan else []),
            f"{target} accept",
        ]
    if filter.ipv6:
        unicast = f"ether daddr {mac} ip6 daddr {{ {filter.ipv6}, {local} }}"
        multicast = "ether daddr & ff:ff:00:00:00:00 == 33:33:00:00:00:00 ip6 daddr ff02::/16"
        if filter.on_lan:
            heard = "{ nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-query }"
            rules += [
                f"{unicast} icmpv6 type {heard} accept",
                f"{multicast} icmpv6 type {heard} accept",
                f"{unicast} ip6 saddr @closed6 counter drop",
            ]
        else:
            rules += [f"{multicast} accept"]
        rules += [f"{unicast} accept"]
    return [*rules, "counter drop"]


def _hex(address: IPv6Address) -> str:
    return f"0x{int(address):032x}"
