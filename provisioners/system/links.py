"""Links, addresses and routes of one namespace, by netlink.

Every verb is *ensure*: it looks first, verifies the kind, and changes only what differs.  A `Links` belongs to the
thread that opened it and is closed again at once, because its socket keeps the namespace alive.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface, ip_interface
from typing import Any

from pyroute2 import IPRoute
from pyroute2.netlink.exceptions import NetlinkError

from provisioners.system import netns

Interface = IPv4Interface | IPv6Interface
Address = IPv4Address | IPv6Address

_IFF_UP = 0x1
_IFA_F_NODAD = 0x02
_IFA_F_PERMANENT = 0x80
_RT_TABLE_MAIN = 254
_RTN_UNICAST = 1


class LinkError(Exception):
    """A link exists but is not what its name stands for, or is missing where it must be."""


@dataclass(frozen=True, slots=True)
class Link:
    index: int
    name: str
    kind: str | None
    """`bridge`, `veth`, `tun`, `wireguard` …; None for a real device."""
    mac: str
    mtu: int
    up: bool
    carrier: bool
    master: int | None
    alias: str
    """Free text that stays with the link; we write down there who it was made for."""
    received: int
    """Bytes that came in over the link."""
    sent: int
    """Bytes that went out over the link."""


@contextlib.contextmanager
def open_links(namespace: str | None) -> Iterator[Links]:
    """Links of a namespace below `/run/netns`; `None` is the one of this process.  Raises NamespaceMissing."""
    descriptor = netns.run_in(
        namespace,
        lambda: socket.socket(
            socket.AF_NETLINK, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE
        ).detach(),
    )
    with IPRoute(fileno=descriptor) as netlink:
        yield Links(netlink, namespace)


class Links:
    """See `open_links`."""

    def __init__(self, netlink: IPRoute, namespace: str | None) -> None:
        self._netlink = netlink
        self.namespace = namespace

    # -- looking ---------------------------------------------------------------------------------------------------

    def find(self, name: str) -> Link | None:
        try:
            return _parse(next(iter(self._netlink.link("get", ifname=name))))
        except NetlinkError as error:
            if error.code == errno.ENODEV:
                return None
            raise

    def get(self, name: str, kind: str | None = None) -> Link:
        """Raises LinkError when the link is missing or of another kind."""
        link = self.find(name)
        if link is None:
            raise LinkError(f"link {name} is missing in {self.namespace or 'the node'}")
        if kind is not None and link.kind != kind:
            raise LinkError(
                f"link {name} in {self.namespace or 'the node'} is a {link.kind or 'device'}, not a {kind}: "
                "remove it or rename it"
            )
        return link

    def all(self) -> list[Link]:
        """Every link.  A full dump: never use it to find a single one."""
        return [_parse(message) for message in self._netlink.get_links()]

    def ports(self, bridge: Link) -> list[Link]:
        return [link for link in self.all() if link.master == bridge.index]

    def addresses(self, link: Link) -> set[Interface]:
        """Addresses that are set or learned on the link, link-local ones included."""
        return {_interface(message) for message in self._address_messages(link)}

    def usable_addresses(self, link: Link) -> set[Interface]:
        """Addresses that passed duplicate address detection."""
        tentative, failed = 0x40, 0x08
        return {
            _interface(message)
            for message in self._address_messages(link)
            if not _address_flags(message) & (tentative | failed)
        }

    def default_gateway(self, family: int, link: Link | None = None) -> Address | None:
        """Gateway of the default route (of the lowest metric), if there is one."""
        found: list[tuple[int, str]] = []
        for route in self._netlink.get_routes(family=family):
            if route["dst_len"] or route.get_attr("RTA_TABLE") != _RT_TABLE_MAIN:
                continue
            gateway = route.get_attr("RTA_GATEWAY")
            if gateway and (link is None or route.get_attr("RTA_OIF") == link.index):
                found.append((route.get_attr("RTA_PRIORITY") or 0, gateway))
        return ip_interface(min(found)[1]).ip if found else None

    # -- making ----------------------------------------------------------------------------------------------------

    def ensure_bridge(self, name: str, *, mac: str, mtu: int, ipv6: bool = False) -> Link:
        """A bridge that is up and keeps its MAC when ports come and go; `ipv6` is for the node's own address."""
        if self.find(name) is None:
            self._netlink.link("add", ifname=name, kind="bridge", mtu=mtu, address=mac)
        link = self.get(name, "bridge")
        netns.set_sysctl(self.namespace, {f"ipv6/conf/{name}/disable_ipv6": "0" if ipv6 else "1"})
        self.ensure(link, mac=mac, mtu=mtu, up=True)
        return link

    def ensure_veth(
        self, name: str, *, peer: str, peer_namespace: str, mac: str | None, mtu: int, bridge: Link
    ) -> Link:
        """A pair: `name` here as a port of `bridge`, `peer` in the other namespace (`mac` is the peer's).

        Both ends stay down until they are configured (`ensure(up=True)`).  An end without its partner is made anew.
        """
        with open_links(peer_namespace) as inside:
            inner = inside.find(peer)
            outer = self.find(name)
            if outer is not None and (outer.kind != "veth" or inner is None or inner.kind != "veth"):
                self.delete(name)
                outer = None
            if outer is None and inner is not None:
                inside.delete(peer)
            if outer is None:
                other: dict[str, Any] = {
                    "ifname": peer,
                    "net_ns_fd": str(netns.path(peer_namespace)),
                    "mtu": mtu,
                }
                if mac:
                    other["address"] = mac
                self._netlink.link("add", kind="veth", ifname=name, mtu=mtu, master=bridge.index, peer=other)
                inner = None
            if inner is not None:
                inside.ensure(inner, mac=mac, mtu=mtu)
        netns.set_sysctl(self.namespace, {f"ipv6/conf/{name}/disable_ipv6": "1"})
        link = self.get(name, "veth")
        self.ensure(link, master=bridge, mtu=mtu)
        return link

    def ensure_local_veth(self, name: str, peer: str, *, mtu: int) -> tuple[Link, Link]:
        """A pair with both ends here."""
        if self.find(name) is None or self.find(peer) is None:
            self.delete(name)
            self.delete(peer)
            self._netlink.link("add", kind="veth", ifname=name, mtu=mtu, peer={"ifname": peer, "mtu": mtu})
        ends = self.get(name, "veth"), self.get(peer, "veth")
        for end in ends:
            netns.set_sysctl(self.namespace, {f"ipv6/conf/{end.name}/disable_ipv6": "1"})
        return ends

    def ensure_tap(self, name: str, *, bridge: Link, mtu: int, alias: str) -> Link:
        """A persistent tap as a port of `bridge`, marked with whom it is for."""
        if self.find(name) is None:
            self._netlink.link("add", ifname=name, kind="tuntap", mode="tap")
        link = self.get(name, "tun")
        netns.set_sysctl(self.namespace, {f"ipv6/conf/{name}/disable_ipv6": "1"})
        self.ensure(link, mtu=mtu, alias=alias, master=bridge, up=True)
        return link

    def ensure_wireguard(self, name: str) -> Link:
        """A WireGuard link of the kernel.  Raises NetlinkError with EOPNOTSUPP where the kernel has none."""
        if self.find(name) is None:
            self._netlink.link("add", ifname=name, kind="wireguard")
        return self.get(name, "wireguard")

    def ensure(
        self,
        link: Link,
        *,
        mac: str | None = None,
        mtu: int | None = None,
        alias: str | None = None,
        master: Link | None = None,
        up: bool | None = None,
    ) -> None:
        """Bring properties of a link to the wanted values; None leaves one as it is."""
        changes: dict[str, Any] = {}
        if mac is not None and mac != link.mac:
            changes["address"] = mac
        if mtu is not None and mtu != link.mtu:
            changes["mtu"] = mtu
        if alias is not None and alias != link.alias:
            changes["ifalias"] = alias
        if master is not None and master.index != link.master:
            changes["master"] = master.index
        if changes:
            self._netlink.link("set", index=link.index, **changes)
        if up is not None and up != link.up:
            self._netlink.link("set", index=link.index, state="up" if up else "down")

    def isolate(self, port: Link) -> None:
        """Keep a bridge port from talking with other isolated ports of its bridge."""
        self._netlink.brport("set", index=port.index, isolated=1)

    def release(self, port: Link) -> None:
        """Take a port off its bridge."""
        if port.master is not None:
            self._netlink.link("set", index=port.index, master=0)

    def move(self, link: Link, namespace: str) -> None:
        self._netlink.link("set", index=link.index, net_ns_fd=str(netns.path(namespace)))

    def ensure_addresses(
        self, link: Link, wanted: Iterable[Interface], *, keep_link_local: bool = False
    ) -> None:
        """Make the set addresses of a link exactly `wanted`.

        Addresses that the kernel learned (SLAAC) stay.  `keep_link_local` spares the automatic fe80:: one.
        """
        missing = set(wanted)
        for message in self._address_messages(link):
            have = _interface(message)
            if have in missing:
                missing.discard(have)
            elif keep_link_local and have.ip.is_link_local and have.version == 6:
                continue
            elif _address_flags(message) & _IFA_F_PERMANENT:
                self._netlink.addr("del", index=link.index, address=str(have.ip), mask=have.network.prefixlen)
        for address in sorted(missing, key=str):
            extra = {"flags": _IFA_F_NODAD} if address.version == 6 else {}
            self._netlink.addr(
                "replace", index=link.index, address=str(address.ip), mask=address.network.prefixlen, **extra
            )

    def ensure_route(self, destination: str, *, link: Link, gateway: Address | None = None) -> None:
        """`destination` is a CIDR, `default`, or `::/0`."""
        arguments: dict[str, Any] = {"dst": destination, "oif": link.index}
        if gateway is not None:
            arguments["gateway"] = str(gateway)
        self._netlink.route("replace", **arguments)

    def ensure_only_route(self, destination: str, link: Link) -> None:
        """Route `destination` to the link and drop other static IPv4 routes that point at it."""
        self.ensure_route(destination, link=link)
        kernel_made = 2
        for route in self._netlink.get_routes(family=socket.AF_INET, oif=link.index):
            if route["proto"] == kernel_made or route["type"] != _RTN_UNICAST:
                continue
            if route.get_attr("RTA_TABLE") != _RT_TABLE_MAIN:
                continue
            text = f"{route.get_attr('RTA_DST') or '0.0.0.0'}/{route['dst_len']}"
            if text != destination:
                self._netlink.route("del", dst=text, oif=link.index)

    # -- removing --------------------------------------------------------------------------------------------------

    def delete(self, name: str) -> None:
        """Safe to repeat."""
        try:
            self._netlink.link("del", ifname=name)
        except NetlinkError as error:
            if error.code != errno.ENODEV:
                raise

    def wait_gone(self, names: Iterable[str], timeout: float) -> None:
        """Wait for links that vanish with the namespace of their peer, and delete those that do not.

        The kernel takes a namespace apart in the background; to delete the links beside it costs twice the time.
        """
        deadline = time.monotonic() + timeout
        for name in names:
            while self.find(name) is not None and time.monotonic() < deadline:
                time.sleep(0.002)
            self.delete(name)

    def _address_messages(self, link: Link) -> list[Any]:
        return list(self._netlink.get_addr(family=socket.AF_UNSPEC, index=link.index))


def _interface(message: Any) -> Interface:
    text = message.get_attr("IFA_LOCAL") or message.get_attr("IFA_ADDRESS")
    return ip_interface(f"{text}/{message['prefixlen']}")


def _address_flags(message: Any) -> int:
    flags: int = message.get_attr("IFA_FLAGS") or message["flags"]
    return flags


def _parse(message: Any) -> Link:
    info = message.get_attr("IFLA_LINKINFO")
    statistics = message.get_attr("IFLA_STATS64") or {}
    return Link(
        index=message["index"],
        name=message.get_attr("IFLA_IFNAME"),
        kind=info.get_attr("IFLA_INFO_KIND") if info else None,
        mac=message.get_attr("IFLA_ADDRESS") or "",
        mtu=message.get_attr("IFLA_MTU"),
        up=bool(message["flags"] & _IFF_UP),
        carrier=bool(message.get_attr("IFLA_CARRIER")),
        master=message.get_attr("IFLA_MASTER"),
        alias=message.get_attr("IFLA_IFALIAS") or "",
        received=statistics.get("rx_bytes", 0),
        sent=statistics.get("tx_bytes", 0),
    )
