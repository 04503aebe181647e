"""The kernel objects of one network resource (NR): a user's network as it lies on this node.

```
node:                       namespace n-<netid>
  b-<netid>  --h-<netid>--  n-<netid>   <subnet>.1, IPv6 of it, fe80::1      guests' gateway
  br-ndmz    --d-<netid>--  public      100.127.x.y/16, fd00::hhhh, default routes
                            w-<netid>   100.64.a.b/16, route to the whole network
```

Everything is found again by name; nothing here is remembered.  These calls block.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from ipaddress import (
    IPv4Address,
    IPv4Interface,
    IPv4Network,
    IPv6Address,
    IPv6Interface,
    IPv6Network,
    ip_interface,
)
from pathlib import Path

from provisioners.system import guest_tap, netns, netns_program, nft, wireguard
from provisioners.system.derive import link_name, mac_from, ndmz_ipv6, private_ipv6, wireguard_address
from provisioners.system.links import Link, Links, open_links
from provisioners.system.nft_network import network_resource as rules
from provisioners.system.prefixes import NDMZ_RANGE
from provisioners.system.wireguard_config import WireGuardConfig

NDMZ_BRIDGE = "br-ndmz"
NDMZ_GATEWAY = IPv4Address("100.127.0.1")
NDMZ_GATEWAY6 = IPv6Address("fe80::1")
_TEARDOWN_LIMIT = 2.0
"""Seconds that the kernel gets to take a namespace's links away by itself."""
_ROUTES = {"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1", "ipv4/conf/all/send_redirects": "0"}


@dataclass(frozen=True, slots=True)
class NetworkResource:
    """What shall be there."""

    netid: str
    ip_range: IPv4Network
    subnet: IPv4Network
    lease: IPv4Address
    """Address on br-ndmz."""
    mtu: int
    """Of the node's uplink, in bytes."""
    transport: str | None
    """Namespace of the tunnel's UDP socket; None for the node's own."""
    wireguard: WireGuardConfig | None = field(repr=False)
    """None for a network without tunnel."""

    @property
    def gateway(self) -> IPv4Address:
        return self.subnet.network_address + 1

    @property
    def gateway6(self) -> IPv6Interface:
        return private_ipv6(self.netid, self.gateway)

    @property
    def subnet6(self) -> IPv6Network:
        return self.gateway6.network


def namespace(netid: str) -> str:
    return link_name("n-", netid)


def bridge(netid: str) -> str:
    return link_name("b-", netid)


def tunnel(netid: str) -> str:
    return link_name("w-", netid)


def ensure(wanted: NetworkResource, *, log: Path, before: WireGuardConfig | None = None) -> None:
    """Make the network resource as wanted; changes only what differs.

    `before` is the tunnel's configuration that was wanted until now, when that is known.  Raises PortTaken,
    CommandFailed, LinkError.
    """
    netid = wanted.netid
    home = namespace(netid)
    with open_links(None) as outside:
        guests = outside.ensure_bridge(bridge(netid), mac=_mac("b", netid), mtu=wanted.mtu)
        netns.ensure(home)
        netns.set_sysctl(home, _ROUTES)
        nft.ensure_namespace(_rules(wanted), home)  # before any link leads outside
        inner = outside.ensure_veth(
            link_name("h-", netid),
            peer=home,
            peer_namespace=home,
            mac=_mac("n", netid),
            mtu=wanted.mtu,
            bridge=guests,
        )
        outer = outside.ensure_veth(
            link_name("d-", netid),
            peer="public",
            peer_namespace=home,
            mac=_mac("public", netid),
            mtu=wanted.mtu,
            bridge=outside.get(NDMZ_BRIDGE, "bridge"),
        )
        outside.isolate(outer)  # tenants share this segment and have nothing to say to each other
        for port in (inner, outer):
            outside.ensure(port, up=True)
    with open_links(home) as inside:
        _ensure_inside(inside, wanted)
    if wanted.wireguard is not None:
        _ensure_tunnel(wanted, wanted.wireguard, log, before)


def delete(netid: str) -> None:
    """Remove everything that carries the network's id.  Safe to repeat, also when half of it is missing."""
    home = namespace(netid)
    held = netns.exists(home)
    if held:
        for pid in netns_program.processes_in(netns.inode(home)):
            netns_program.end(pid)  # a process would keep the namespace, and its links, alive
    netns.delete(home)
    with open_links(None) as outside:
        for name in (bridge(netid), tunnel(netid)):
            outside.delete(name)
        ports = (link_name("h-", netid), link_name("d-", netid))
        outside.wait_gone(ports, _TEARDOWN_LIMIT if held else 0)
    wireguard.remove(tunnel(netid))  # by now it has mostly gone with its link


def delete_with_guests(netid: str) -> None:
    """Remove a network that nobody owns any more, and what still hangs on it."""
    for tap in guests(netid):
        guest_tap.remove(tap.name)
    delete(netid)


def guests(netid: str) -> list[Link]:
    """Taps of guests on the network's bridge."""
    with open_links(None) as outside:
        home = outside.find(bridge(netid))
        return [port for port in outside.ports(home) if port.name.startswith("t-")] if home else []


def complete(wanted: NetworkResource) -> bool:
    """True when every object is there and alive; the cheap question after a restart."""
    if not netns.exists(namespace(wanted.netid)):
        return False
    with open_links(None) as outside, open_links(namespace(wanted.netid)) as inside:
        here = [outside.find(bridge(wanted.netid)), outside.find(link_name("d-", wanted.netid))]
        there = [inside.find(namespace(wanted.netid)), inside.find("public")]
        if wanted.wireguard is not None:
            there.append(inside.find(tunnel(wanted.netid)))
    return all(link is not None and link.up for link in here + there)


def ids_on_machine() -> set[str]:
    """Network ids that have a namespace or a bridge here, whoever made them."""
    found = {name.removeprefix("n-") for name in netns.names("n-")}
    with open_links(None) as outside:
        found |= {link.name.removeprefix("b-") for link in outside.all() if link.name.startswith("b-")}
    return found


def _ensure_inside(inside: Links, wanted: NetworkResource) -> None:
    prefix = wanted.subnet.prefixlen
    gateway = inside.get(namespace(wanted.netid), "veth")
    inside.ensure_addresses(
        gateway,
        (IPv4Interface((wanted.gateway, prefix)), wanted.gateway6, ip_interface(f"{NDMZ_GATEWAY6}/64")),
        keep_link_local=True,
    )
    inside.ensure(gateway, up=True)
    public = inside.get("public", "veth")
    inside.ensure_addresses(
        public,
        (IPv4Interface((wanted.lease, NDMZ_RANGE.prefixlen)), ndmz_ipv6(wanted.lease)),
        keep_link_local=True,
    )
    inside.ensure(public, up=True)
    inside.ensure_route("0.0.0.0/0", link=public, gateway=NDMZ_GATEWAY)
    inside.ensure_route("::/0", link=public, gateway=NDMZ_GATEWAY6)


def _ensure_tunnel(
    wanted: NetworkResource, config: WireGuardConfig, log: Path, before: WireGuardConfig | None
) -> None:
    name, home = tunnel(wanted.netid), namespace(wanted.netid)
    wireguard.ensure_link(name, namespace=home, transport=wanted.transport, log=log)
    wireguard.configure(name, home, config, before)
    wireguard.bring_up(name, home, wanted.mtu - wireguard.OVERHEAD)
    with open_links(home) as inside:
        link = inside.get(name)
        inside.ensure_addresses(link, (wireguard_address(wanted.subnet),), keep_link_local=True)
        inside.ensure_only_route(str(wanted.ip_range), link)


def _rules(wanted: NetworkResource) -> str:
    return rules(
        wanted.netid,
        wanted.subnet,
        wanted.ip_range,
        wanted.subnet6,
        wireguard_mtu=wanted.mtu - wireguard.OVERHEAD,
    )


def _mac(role: str, netid: str) -> str:
    return mac_from(f"{role}-{netid}".encode())
