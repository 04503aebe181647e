"""The node's own bridges and how they hang on its NICs (`network.md` §1.2).  Blocking calls."""

from __future__ import annotations

from ipaddress import IPv4Interface

from provisioners.system import netns
from provisioners.system.derive import mac_from
from provisioners.system.links import Link, LinkError, Links, open_links
from provisioners.system.network_resource import NDMZ_BRIDGE
from provisioners.system.node_network_config import NodeNetworkConfig, StaticAddress

LAN_BRIDGE = "zos"
PUBLIC_BRIDGE = "br-pub"
PLANETARY_BRIDGE = "br-ygg"
LAN_END, PUBLIC_END = "tozos", "p-tozos"
"""The veth between `zos` and `br-pub` of a node with one NIC."""


def uplink_port(config: NodeNetworkConfig) -> str:
    """The port of br-pub that leads outside; recorded by name, so another port is never taken for it."""
    return config.public_nic or PUBLIC_END


def local_ports(config: NodeNetworkConfig) -> tuple[str, ...]:
    """The bridge ports whose frames may reach the node itself: those of `zos`."""
    return (config.uplink, LAN_END, "v-npub4")


def ensure(config: NodeNetworkConfig, identity: str) -> int:
    """Make the four bridges and wire them; returns the MTU.  An existing, rightly wired `zos` is adopted.

    Raises LinkError when a named NIC is missing or belongs to another bridge.
    """
    with open_links(None) as links:
        nic = _nic(links, config.uplink, "uplink")
        mtu = config.mtu or nic.mtu
        _settings()
        links.ensure(links.get("lo"), up=True)
        lan = _ensure_lan_bridge(links, nic, mtu)
        if isinstance(config.address, StaticAddress):
            links.ensure_addresses(lan, (config.address.address,), keep_link_local=True)
            if config.address.gateway:
                links.ensure_route("0.0.0.0/0", link=lan, gateway=config.address.gateway)
        public = links.ensure_bridge(PUBLIC_BRIDGE, mac=_mac(identity, PUBLIC_BRIDGE), mtu=mtu)
        _ensure_public_uplink(links, config, lan, public, mtu)
        for name in (NDMZ_BRIDGE, PLANETARY_BRIDGE):
            links.ensure_bridge(name, mac=_mac(identity, name), mtu=mtu)
        return mtu


def lan_addresses() -> list[IPv4Interface]:
    """IPv4 addresses that `zos` has now."""
    with open_links(None) as links:
        lan = links.find(LAN_BRIDGE)
        return [a for a in links.addresses(lan) if isinstance(a, IPv4Interface)] if lan else []


def _ensure_lan_bridge(links: Links, nic: Link, mtu: int) -> Link:
    lan = links.ensure_bridge(LAN_BRIDGE, mac=nic.mac, mtu=mtu, ipv6=True)
    if nic.master != lan.index:
        if nic.master is not None:
            raise LinkError(f"{nic.name} is a port of another bridge: free it, or name another uplink")
        if nic.mtu != mtu:
            links.ensure(nic, mtu=mtu)
        links.ensure(nic, master=lan)
    netns.set_sysctl(None, {f"ipv6/conf/{nic.name}/disable_ipv6": "1"})
    links.ensure_addresses(nic, ())
    links.ensure(nic, up=True)
    return lan


def _ensure_public_uplink(links: Links, config: NodeNetworkConfig, lan: Link, public: Link, mtu: int) -> None:
    if config.public_nic is None:
        inner, outer = links.ensure_local_veth(LAN_END, PUBLIC_END, mtu=mtu)
        links.ensure(inner, master=lan, up=True)
        links.ensure(outer, master=public, up=True)
        return
    links.delete(LAN_END)  # its peer goes with it
    nic = _nic(links, config.public_nic, "public NIC")
    if nic.master not in (None, public.index):
        raise LinkError(f"{nic.name} is a port of another bridge: free it, or name another public NIC")
    netns.set_sysctl(None, {f"ipv6/conf/{nic.name}/disable_ipv6": "1"})
    links.ensure(nic, master=public, mtu=mtu, up=True)


def release_other_public_nic(config: NodeNetworkConfig) -> None:
    """Take a former public NIC off br-pub after the configuration changed."""
    with open_links(None) as links:
        public = links.get(PUBLIC_BRIDGE, "bridge")
        for port in links.ports(public):
            ours = port.name.startswith(("p-", "v-"))
            if not ours and port.name != config.public_nic:
                links.release(port)


def is_nic(config: NodeNetworkConfig, link: Link) -> bool:
    """Whether it is a real device, or one that the configuration calls so."""
    if link.name in (config.uplink, config.public_nic):
        return True
    return link.kind is None and link.name != "lo"


def check_public_nic(config: NodeNetworkConfig, name: str) -> None:
    """Raises LinkError, in the words of the specification, when the link cannot carry the public segment."""
    with open_links(None) as links:
        link = links.find(name)
        if link is None:
            raise LinkError(f"Link not found: the node has no NIC {name!r}")
        # In a container a NIC is one end of a veth whose other end lies outside; ours have names of ours.
        ours = name.startswith(("v-", "p-", "h-", "d-", "t-", "b-")) or name in ("lo", LAN_END)
        if ours or link.kind not in (None, "veth"):
            raise LinkError(f"invalid exit bridge must be a physical nic or the default bridge: {name}")
        public = links.find(PUBLIC_BRIDGE)
        if link.master is not None and (public is None or link.master != public.index):
            raise LinkError(f"device is '{name}' already used")


def _nic(links: Links, name: str, role: str) -> Link:
    link = links.find(name)
    if link is None:
        known = ", ".join(sorted(o.name for o in links.all() if o.kind != "bridge" and o.name != "lo"))
        raise LinkError(f"{role} {name} does not exist; the node has: {known or 'no NIC'}")
    return link


def _settings() -> None:
    """The node's own namespace routes nothing; bridged frames do not pass its IP rules (`network-linux.md` §7.4)."""
    values = {"ipv6/conf/all/forwarding": "0"}
    for family in ("arp", "ip", "ip6"):
        values[f"bridge/bridge-nf-call-{family}tables"] = "0"
    netns.set_sysctl(None, {key: value for key, value in values.items() if netns.has_sysctl(None, key)})


def _mac(identity: str, role: str) -> str:
    return mac_from(f"{identity}-{role}".encode())
