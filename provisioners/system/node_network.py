"""The node's own network: bridges, exit namespaces, DHCP, overlay; ensured at every start, and read by the API.

One `NodeNetwork` for a node.  Everything that it starts outlives it, and everything is found again by name, so that a
restart of the daemon changes nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from ipaddress import IPv4Interface, IPv6Address, IPv6Interface, IPv6Network
from pathlib import Path

from nacl.bindings import crypto_sign_seed_keypair
from pyroute2.netlink.exceptions import NetlinkError

from provisioners.protocol import NodePaths, OwnerFile
from provisioners.system import dhcp, exit_namespaces, netns, nft, node_bridges, yggdrasil
from provisioners.system.blocking import to_the_end
from provisioners.system.command import CommandFailed
from provisioners.system.derive import first_host, node_identity, yggdrasil_address, yggdrasil_subnet
from provisioners.system.exit_namespaces import NDMZ, PUBLIC
from provisioners.system.links import Interface, LinkError, open_links
from provisioners.system.network_resource import NDMZ_BRIDGE
from provisioners.system.nft_guest import base_table
from provisioners.system.node_network_config import NodeNetworkConfig, PublicConfig
from provisioners.system.prefixes import PLANETARY, Network, closed_prefixes

log = logging.getLogger(__name__)

RESERVED_PORTS = frozenset({80, 300, 443, 8082, 9651, 9943, 9944, 9945})
"""Ports that the node keeps for itself; `list_wg_ports` shows them as taken."""
_REFRESH_PERIOD = 5.0
"""Seconds between two looks at the LAN's prefixes."""
_ENSURE_EVERY = 12
"""Every so many looks the whole network is ensured."""
_LEASE_LIMIT = 30.0
"""Seconds that the farm's DHCP server has to answer."""


class NodeNetwork:
    """See the module.  `seed` is the node's ed25519 seed (32 bytes), for the overlay's key file."""

    def __init__(self, config: NodeNetworkConfig, paths: NodePaths, seed: bytes) -> None:
        self.config = config
        self._paths = paths
        self._seed = seed
        self.public_key, _ = crypto_sign_seed_keypair(seed)
        self.identity = node_identity(self.public_key)
        self._record = OwnerFile(paths.state / "network" / "public-config.json")
        stored = self._record.read()
        self.public_config = PublicConfig.model_validate(stored) if stored else None
        self._walls_for: tuple[list[Network], bool] | None = None
        """The LAN's prefixes, and whether IPv6 may leave, as the firewall was made last."""
        self._lock = asyncio.Lock()
        self.address_books = asyncio.Lock()
        """Held while a contract's public addresses are compared and written down."""

    # -- facts that provisioners ask for ---------------------------------------------------------------------------

    @property
    def transport(self) -> str | None:
        """Namespace in which WireGuard's UDP sockets live; None for the node's own."""
        return PUBLIC if self.public_config else None

    @property
    def planetary_namespace(self) -> str:
        """Namespace of the yggdrasil daemon; the node's bus listens in it."""
        return PUBLIC if self.public_config else NDMZ

    @property
    def planetary_prefix(self) -> IPv6Network | None:
        """The /64 that the overlay routes to this node; None when the node has no overlay."""
        return yggdrasil_subnet(self.public_key) if self.config.yggdrasil.enabled else None

    @property
    def planetary_address(self) -> IPv6Address | None:
        """The daemon's own address."""
        return yggdrasil_address(self.public_key) if self.config.yggdrasil.enabled else None

    @property
    def uplink_port(self) -> str:
        """The port of br-pub that leads to the public segment."""
        return node_bridges.uplink_port(self.config)

    @property
    def log(self) -> Path:
        return self._paths.log

    def mtu(self) -> int:
        """Bytes.  Blocks for one netlink call; raises LinkError before the first `ensure`."""
        with open_links(None) as links:
            return links.get(NDMZ_BRIDGE, "bridge").mtu

    # -- making ----------------------------------------------------------------------------------------------------

    async def ensure(self) -> None:
        """Bring the node's network to what configuration and chain say; safe to repeat while everything runs.

        Raises LinkError, CommandFailed.
        """
        async with self._lock:
            await to_the_end(self._ensure)

    async def refresh(self) -> None:
        """Close what has newly turned out to be the farm's LAN: a router's announcement may come at any time."""
        async with self._lock:
            await to_the_end(self._refresh)

    async def watch(self) -> None:
        """Refresh every few seconds and ensure everything every minute, until cancelled.

        A failure is logged and tried again: the node's network outlives its moods.
        """
        rounds = 0
        while True:
            await asyncio.sleep(_REFRESH_PERIOD)
            rounds += 1
            try:
                await (self.refresh() if rounds % _ENSURE_EVERY else self.ensure())
            except (CommandFailed, LinkError, OSError, NetlinkError) as error:
                log.warning("the node's network could not be brought to what it should be: %s", error)

    async def set_public_config(self, config: PublicConfig | None) -> None:
        """Take over the chain's public config (None: it has none) and bring the network to it, without a reboot.

        Networks of users have to be ensured again afterwards: their tunnels' sockets move to another namespace.
        """
        async with self._lock:
            if config == self.public_config:
                return
            self.public_config = config
            if config is None:
                self._record.remove()
            else:
                self._record.write(config.model_dump(mode="json"))
            await to_the_end(self._ensure)

    async def set_public_nic(self, name: str | None) -> None:
        """Let another NIC carry the public segment, None for the uplink's own; until the next start.

        Public addresses have to be ensured again afterwards: their rules name the port.  Raises LinkError, and the
        former NIC goes on carrying it.
        """
        async with self._lock:
            former = self.config
            if name == former.public_nic:
                return
            if name is not None:
                await asyncio.to_thread(node_bridges.check_public_nic, former, name)
            self.config = former.model_copy(update={"public_nic": name})
            try:
                await to_the_end(self._ensure)
            except BaseException:
                self.config = former
                await to_the_end(self._ensure)
                raise

    def _ensure(self) -> None:
        mtu = node_bridges.ensure(self.config, self.identity)
        node_bridges.release_other_public_nic(self.config)
        self._ensure_exits(mtu)
        self._ensure_leases()
        self._ensure_exits(mtu)  # the LAN's prefix may have become known only now
        if self.config.yggdrasil.enabled:
            self._ensure_yggdrasil()

    def _refresh(self) -> None:
        if (self._on_link(), self.public_ipv6() is not None) != self._walls_for:
            self._ensure_exits(self.mtu())

    def _ensure_exits(self, mtu: int) -> None:
        on_link, exit6 = self._on_link(), self.public_ipv6() is not None
        closed = closed_prefixes(on_link, self.config.opened)
        nft.apply(base_table(node_bridges.local_ports(self.config), closed))
        exit_namespaces.ensure_ndmz(
            self.config,
            self.identity,
            mtu,
            closed,
            self.planetary_prefix,
            daemon_here=self.public_config is None,
            exit6=exit6,
        )
        self._walls_for = (on_link, exit6)
        if self.public_config is None:
            exit_namespaces.remove_public()
        else:
            exit_namespaces.ensure_public(self.public_config, self.identity, mtu, self.planetary_prefix)

    def _ensure_leases(self) -> None:
        wanted = ((None, "zos", self.config.address), (NDMZ, "npub4", self.config.exit_address))
        run = self._paths.run / "dhcp"
        for namespace, link, setting in wanted:
            if setting == "dhcp":
                dhcp.ensure_client(link, namespace=namespace, run=run, log=self._dhcp_log(link))
            else:
                dhcp.stop_client(link, namespace=namespace)
        for namespace, link, setting in wanted:
            if setting == "dhcp":
                dhcp.wait_for_address(
                    link, namespace=namespace, timeout=_LEASE_LIMIT, log=self._dhcp_log(link)
                )

    def _ensure_yggdrasil(self) -> None:
        file = self._paths.state / "network" / "yggdrasil.conf"
        other = NDMZ if self.public_config else PUBLIC
        yggdrasil.stop(file=file, namespace=other)
        segment = "public" if self.public_config else "npub6"
        text = yggdrasil.configuration(
            self._seed,
            peers=self.config.yggdrasil.peers,
            multicast_links=(segment,) if self.config.yggdrasil.multicast else (),
            admin_socket=self._paths.run / "yggdrasil.sock",
        )
        self._paths.run.mkdir(parents=True, exist_ok=True, mode=0o700)
        log = self._paths.log / "yggdrasil.log"
        yggdrasil.ensure(text, file=file, namespace=self.planetary_namespace, log=log)

    def _on_link(self) -> list[Network]:
        """Prefixes of the farm's LAN, as the node's links have them now.

        With one NIC the public segment is the LAN, so `npub6` counts, too.
        """
        found: set[Interface] = set()
        links_on_lan = [(None, "zos"), (NDMZ, "npub4")]
        if self.config.public_nic is None:
            links_on_lan.append((NDMZ, "npub6"))
        for namespace, name in links_on_lan:
            if namespace is None or netns.exists(namespace):
                with open_links(namespace) as links:
                    link = links.find(name)
                    found |= links.addresses(link) if link else set()
        return sorted({address.network for address in found if not address.ip.is_link_local}, key=str)

    def _dhcp_log(self, link: str) -> Path:
        return self._paths.log / f"dhcp-{link}.log"

    # -- reading, for the API --------------------------------------------------------------------------------------

    async def interfaces(self) -> dict[str, list[str]]:
        """Global unicast addresses of `zos` and, as `ygg`, of the ndmz's overlay link, as text."""

        def read() -> dict[str, list[str]]:
            answer = {}
            for key, namespace, name in (("zos", None, "zos"), ("ygg", NDMZ, "nygg6")):
                with open_links(namespace) as links:
                    link = links.find(name)
                    addresses = links.addresses(link) if link else set()
                answer[key] = [str(a.ip) for a in sorted(addresses, key=str) if _is_global_unicast(a)]
            return answer

        return await asyncio.to_thread(read)

    async def nics(self) -> dict[str, tuple[tuple[str, ...], str]]:
        """Global unicast addresses in CIDR form, and the MAC, of every NIC and of `zos`."""

        def read() -> dict[str, tuple[tuple[str, ...], str]]:
            with open_links(None) as links:
                return {
                    link.name: (
                        tuple(
                            str(a) for a in sorted(links.addresses(link), key=str) if _is_global_unicast(a)
                        ),
                        link.mac,
                    )
                    for link in links.all()
                    if link.name == node_bridges.LAN_BRIDGE or node_bridges.is_nic(self.config, link)
                }

        return await asyncio.to_thread(read)

    async def has_ipv6(self) -> bool:
        """True when `npub6` has a public IPv6 address."""
        return await asyncio.to_thread(self.public_ipv6) is not None

    def public_ipv6(self) -> IPv6Interface | None:
        """The public IPv6 address of `npub6`, if the segment has a router that advertises one."""
        with contextlib.suppress(netns.NamespaceMissing), open_links(NDMZ) as links:
            link = links.find("npub6")
            for address in sorted(links.usable_addresses(link) if link else (), key=str):
                if isinstance(address, IPv6Interface) and _is_public6(address):
                    return address
        return None

    def ipv6_gateway(self) -> IPv6Address | None:
        """The router of the public segment, as the ndmz learned it."""
        with contextlib.suppress(netns.NamespaceMissing), open_links(NDMZ) as links:
            link = links.find("npub6")
            gateway = links.default_gateway(socket.AF_INET6, link) if link else None
            if isinstance(gateway, IPv6Address):
                return gateway
        return None

    def planetary_gateway(self) -> IPv6Address | None:
        prefix = self.planetary_prefix
        return first_host(prefix) if prefix else None


def _is_global_unicast(address: Interface) -> bool:
    ip = address.ip
    if ip.is_link_local or ip.is_loopback or ip.is_multicast or ip.is_unspecified:
        return False
    return isinstance(address, IPv4Interface) or not _is_unique_local(ip)


def _is_unique_local(ip: object) -> bool:
    return isinstance(ip, IPv6Address) and ip in IPv6Network("fc00::/7")


def _is_public6(address: IPv6Interface) -> bool:
    return _is_global_unicast(address) and address.ip not in PLANETARY
