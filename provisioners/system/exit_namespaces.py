"""The two namespaces through which a node talks with the outside: `ndmz` and, with a public config, `public`.

`ndmz` is where users' networks leave the node: NAT towards the farm's LAN segment (`npub4`) and the public segment
(`npub6`).  `public` carries the farmer's public addresses and the sockets that the world calls (`network.md` §1.6,
§2).  Blocking calls.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv6Address, IPv6Interface, IPv6Network, ip_interface

from provisioners.system import netns, netns_program, nft, nft_network
from provisioners.system.derive import first_host, hashed_address, mac_from
from provisioners.system.links import Interface, Link, Links, open_links
from provisioners.system.network_resource import NDMZ_BRIDGE, NDMZ_GATEWAY, NDMZ_GATEWAY6
from provisioners.system.node_bridges import LAN_BRIDGE, PLANETARY_BRIDGE, PUBLIC_BRIDGE
from provisioners.system.node_network_config import NodeNetworkConfig, PublicConfig, StaticAddress
from provisioners.system.prefixes import PLANETARY, Network

NDMZ, PUBLIC = "ndmz", "public"
_FORWARDS = {"ipv4/ip_forward": "1", "ipv6/conf/all/forwarding": "1", "ipv4/conf/all/send_redirects": "0"}
_NDMZ_SEED = b"ygg:ndmz"
"""What the ndmz's own planetary address is hashed from, when the daemon lives in `public`."""


def ensure_ndmz(
    config: NodeNetworkConfig,
    identity: str,
    mtu: int,
    closed: Iterable[Network],
    planetary: IPv6Network | None,
    *,
    daemon_here: bool,
    exit6: bool,
) -> None:
    """Make `ndmz` with its firewall, its four links and their fixed addresses; DHCP is somebody else's business.

    `planetary` is the node's overlay /64; `daemon_here` says whether yggdrasil runs in this namespace; `exit6`
    whether IPv6 may leave it.
    """
    netns.ensure(NDMZ)
    netns.set_sysctl(NDMZ, _FORWARDS)
    nft.ensure_namespace(nft_network.ndmz(closed, planetary if daemon_here else None, exit6=exit6), NDMZ)
    with open_links(None) as outside:
        _attach(outside, "tonrs", NDMZ, NDMZ_BRIDGE, mtu, mac_from(f"{identity}-tonrs".encode()))
        _attach(outside, "npub4", NDMZ, LAN_BRIDGE, mtu, mac_from(f"{identity}-ndmz4".encode()))
        _attach(outside, "npub6", NDMZ, PUBLIC_BRIDGE, mtu, mac_from(f"{identity}-ndmz6".encode()))
        if planetary:
            _attach(outside, "nygg6", NDMZ, PLANETARY_BRIDGE, mtu, mac_from(f"{identity}-ndmz-ygg".encode()))
    netns.set_sysctl(NDMZ, {"ipv6/conf/npub4/disable_ipv6": "1", **_listen_to_router("npub6")})
    with open_links(NDMZ) as inside:
        tonrs = inside.get("tonrs", "veth")
        inside.ensure_addresses(
            tonrs,
            [
                ip_interface(f"{address}")
                for address in (f"{NDMZ_GATEWAY}/16", f"{NDMZ_GATEWAY6}/64", "fd00::1/64")
            ],
            keep_link_local=True,
        )
        inside.ensure(tonrs, up=True)
        exit = inside.get("npub4", "veth")
        if isinstance(config.exit_address, StaticAddress):
            inside.ensure_addresses(exit, (config.exit_address.address,))
        inside.ensure(exit, up=True)
        if isinstance(config.exit_address, StaticAddress) and config.exit_address.gateway:
            inside.ensure_route("0.0.0.0/0", link=exit, gateway=config.exit_address.gateway)
        inside.ensure(inside.get("npub6", "veth"), up=True)
        if planetary:
            own = first_host(planetary) if daemon_here else hashed_address(planetary, _NDMZ_SEED)
            overlay = _ensure_overlay_address(inside, own)
            if not daemon_here:
                inside.ensure_route(str(PLANETARY), link=overlay, gateway=first_host(planetary))


def ensure_public(config: PublicConfig, identity: str, mtu: int, planetary: IPv6Network | None) -> None:
    """Make `public` with exactly the configured addresses and routes; former ones go away."""
    netns.ensure(PUBLIC)
    netns.set_sysctl(PUBLIC, _FORWARDS)
    nft.ensure_namespace(nft_network.public(planetary), PUBLIC)
    with open_links(None) as outside:
        _attach(outside, "public", PUBLIC, PUBLIC_BRIDGE, mtu, mac_from(f"{identity}-public".encode()))
        if planetary:
            mac = mac_from(f"{identity}-public-ygg".encode())
            _attach(outside, "nygg6", PUBLIC, PLANETARY_BRIDGE, mtu, mac, name="v-pygg6")
    netns.set_sysctl(PUBLIC, _listen_to_router("public"))
    with open_links(PUBLIC) as inside:
        link = inside.get("public", "veth")
        pairs = [(config.ipv4, config.gw4, "0.0.0.0/0"), (config.ipv6, config.gw6, "::/0")]
        whole = [(address, gateway, default) for address, gateway, default in pairs if address and gateway]
        addresses: list[Interface] = [address for address, _, _ in whole]
        inside.ensure_addresses(link, addresses, keep_link_local=True)
        inside.ensure(link, up=True)
        for _, gateway, default in whole:
            inside.ensure_route(default, link=link, gateway=gateway)
        if planetary:
            _ensure_overlay_address(inside, first_host(planetary))


def remove_public() -> None:
    """Take the public namespace away, without a reboot.  Safe to repeat."""
    if netns.exists(PUBLIC):
        for pid in netns_program.processes_in(netns.inode(PUBLIC)):
            netns_program.end(pid)
    netns.delete(PUBLIC)
    with open_links(None) as outside:
        for name in ("v-public", "v-pygg6"):
            outside.delete(name)


def _attach(
    outside: Links, link: str, namespace: str, bridge: str, mtu: int, mac: str, *, name: str | None = None
) -> None:
    """Let `link` in the namespace be joined with a bridge; its end here is `v-<link>`."""
    port = outside.ensure_veth(
        name or f"v-{link}",
        peer=link,
        peer_namespace=namespace,
        mac=mac,
        mtu=mtu,
        bridge=outside.get(bridge, "bridge"),
    )
    outside.ensure(port, up=True)


def _ensure_overlay_address(inside: Links, address: IPv6Address) -> Link:
    link = inside.get("nygg6", "veth")
    inside.ensure_addresses(link, (IPv6Interface((address, 64)),), keep_link_local=True)
    inside.ensure(link, up=True)
    return link


def _listen_to_router(link: str) -> dict[str, str]:
    """With forwarding on, only 2 lets a link take its address from router advertisements."""
    return {f"ipv6/conf/{link}/accept_ra": "2", f"ipv6/conf/{link}/accept_ra_defrtr": "1"}
