"""The text of the rules inside the node's namespaces: network resource, ndmz, public.  Pure.

These namespaces belong to the node entirely, so a ruleset replaces everything in one transaction.  All chains are
default-deny.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Network, IPv6Network

from provisioners.system.prefixes import NDMZ_RANGE, NDMZ_RANGE6, PLANETARY, WIREGUARD_RANGE, Network

CONSOLE_PORTS = "20000-20255"
"""A VM's console listens on the gateway address, on 20000 + the last octet of the VM's address."""

_BASE_CHECKS = """\
  chain base_checks {
    ct state { established, related } accept
    ct state invalid drop
  }"""

_ND = "{ nd-router-solicit, nd-router-advert, nd-neighbor-solicit, nd-neighbor-advert, mld-listener-query }"


def network_resource(
    netid: str, subnet: IPv4Network, ip_range: IPv4Network, subnet6: IPv6Network, *, wireguard_mtu: int
) -> str:
    """Rules of namespace `n-<netid>`: its members talk freely, nobody enters from outside, nobody sends mail out.

    Large segments towards the tunnel are clamped to its MTU, because many hosts filter the ICMP that would tell.
    """
    inner, tunnel = f"n-{netid}", f"w-{netid}"
    members = f"{{ {ip_range}, {WIREGUARD_RANGE} }}"
    segment = wireguard_mtu - 40
    return f"""\
flush ruleset
table inet nat {{
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    oifname "public" masquerade fully-random
  }}
}}
table inet filter {{
{_BASE_CHECKS}
  chain input {{
    type filter hook input priority filter; policy drop;
    jump base_checks
    iifname "lo" accept
    icmpv6 type {_ND} accept
    iifname "public" counter drop
    meta l4proto {{ icmp, ipv6-icmp }} accept
    iifname {{ "{inner}", "{tunnel}" }} tcp dport {CONSOLE_PORTS} accept
    counter drop
  }}
  chain forward {{
    type filter hook forward priority filter; policy drop;
    oifname "{tunnel}" tcp flags syn tcp option maxseg size > {segment} tcp option maxseg size set {segment}
    iifname "{tunnel}" tcp flags syn tcp option maxseg size > {segment} tcp option maxseg size set {segment}
    jump base_checks
    iifname "public" counter drop
    iifname {{ "{inner}", "{tunnel}" }} oifname "public" tcp dport 25 counter reject with icmpx type admin-prohibited
    iifname "{inner}" oifname {{ "{tunnel}", "public" }} ip saddr {subnet} accept
    iifname "{inner}" oifname "public" ip6 saddr {subnet6} accept
    iifname "{tunnel}" oifname "{inner}" ip saddr {members} ip daddr {subnet} accept
    iifname "{tunnel}" oifname {{ "{tunnel}", "public" }} ip saddr {members} accept
    counter drop
  }}
}}
"""


def ndmz(closed: Iterable[Network], planetary: IPv6Network | None, *, exit6: bool) -> str:
    """Rules of namespace `ndmz`: network resources get out, not into the farm's LAN (decision 36); nobody gets in.

    `planetary` is the /64 that yggdrasil routes to this node, when its daemon runs in this namespace.  `exit6` opens
    the way out for IPv6; before a router announced the LAN's prefix, nobody knows what has to stay closed.
    """
    way6 = (
        f"""
    iifname "tonrs" oifname "npub6" ip6 saddr {NDMZ_RANGE6} ip6 daddr != @closed6 accept"""
        if exit6
        else ""
    )
    four, six = _sets(closed)
    overlay = (
        f"""
    iifname "nygg6" oifname "ygg0" ip6 saddr {planetary} ip6 daddr {PLANETARY} accept
    iifname "ygg0" oifname "nygg6" ip6 saddr {PLANETARY} ip6 daddr {planetary} accept"""
        if planetary
        else ""
    )
    return f"""\
flush ruleset
table inet nat {{
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip6 saddr {PLANETARY} accept
    oifname {{ "npub4", "npub6" }} masquerade fully-random
  }}
}}
table inet filter {{
  set closed4 {{ type ipv4_addr; flags interval; {four} }}
  set closed6 {{ type ipv6_addr; flags interval; {six} }}
{_BASE_CHECKS}
  chain input {{
    type filter hook input priority filter; policy drop;
    jump base_checks
    iifname "lo" accept
    icmpv6 type {_ND} accept
    iifname "tonrs" ip daddr {NDMZ_RANGE.network_address + 1} icmp type echo-request accept
    iifname "tonrs" ip6 daddr {NDMZ_RANGE6.network_address + 1} icmpv6 type echo-request accept
    iifname {{ "nygg6", "ygg0" }} icmpv6 type echo-request accept
    iifname {{ "nygg6", "ygg0" }} tcp dport 8051 accept
    iifname {{ "npub4", "npub6" }} tcp dport {{ 9943, 9944 }} accept
    iifname "npub6" ip6 saddr fe80::/10 tcp dport 9945 accept
    iifname "npub6" ip6 saddr fe80::/10 udp dport 9001 accept
    iifname "npub4" udp sport 67 udp dport 68 accept
    iifname "npub6" counter drop
    iifname "npub4" counter drop
    counter drop
  }}
  chain forward {{
    type filter hook forward priority filter; policy drop;
    jump base_checks
    iifname "npub6" counter drop
    iifname "npub4" counter drop
    iifname "tonrs" oifname "npub4" ip saddr {NDMZ_RANGE} ip daddr != @closed4 accept{way6}{overlay}
    counter drop
  }}
}}
"""


def public(planetary: IPv6Network | None) -> str:
    """Rules of namespace `public`: only the node's own services and the WireGuard ports that networks hold.

    The set `wireguard` is filled by `public_port`.
    """
    overlay = (
        f"""
    iifname "nygg6" oifname "ygg0" ip6 saddr {planetary} ip6 daddr {PLANETARY} accept
    iifname "ygg0" oifname "nygg6" ip6 saddr {PLANETARY} ip6 daddr {planetary} accept"""
        if planetary
        else ""
    )
    return f"""\
flush ruleset
table inet filter {{
  set wireguard {{ type inet_service; }}
{_BASE_CHECKS}
  chain input {{
    type filter hook input priority filter; policy drop;
    jump base_checks
    iifname "lo" accept
    meta l4proto {{ icmp, ipv6-icmp }} accept
    iifname "public" udp dport @wireguard accept
    iifname "public" tcp dport {{ 80, 443, 9943, 9944 }} accept
    iifname {{ "nygg6", "ygg0" }} tcp dport 8051 accept
    counter drop
  }}
  chain forward {{
    type filter hook forward priority filter; policy drop;
    jump base_checks{overlay}
    counter drop
  }}
}}
"""


def public_port(port: int, *, open: bool) -> str:
    """Open or close a WireGuard port of namespace `public`; safe to repeat."""
    lines = [f"add element inet filter wireguard {{ {port} }}"]
    if not open:
        lines.append(f"delete element inet filter wireguard {{ {port} }}")
    return "\n".join(lines) + "\n"


def _sets(closed: Iterable[Network]) -> tuple[str, str]:
    networks = list(closed)
    texts = []
    for kind in (IPv4Network, IPv6Network):
        members = ", ".join(str(network) for network in networks if isinstance(network, kind))
        texts.append(f"elements = {{ {members} }};" if members else "")
    return texts[0], texts[1]
