"""How a guest gets into a private network, or onto the planetary one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Interface, IPv6Network

from gridtypes import WorkloadId
from provisioners.network.record import NetworkRecord
from provisioners.protocol import GuestNic, WorkloadError
from provisioners.system import guest_tap, network_resource
from provisioners.system.blocking import to_the_end
from provisioners.system.command import CommandFailed
from provisioners.system.derive import first_host, link_name, mac_from, planetary_address, private_ipv6
from provisioners.system.guest_tap import TapOwner
from provisioners.system.keyed_locks import KeyedLocks
from provisioners.system.links import LinkError
from provisioners.system.nft_guest import TapFilter
from provisioners.system.node_bridges import PLANETARY_BRIDGE
from provisioners.system.prefixes import PLANETARY, WIREGUARD_RANGE


class NodeNetworkPart:
    """A private network as it lies on this node; implements `PrivateNetwork`."""

    def __init__(self, record: NetworkRecord, dns: tuple[str, ...], locks: KeyedLocks) -> None:
        """`locks` are by network id: joining, leaving and deleting a network exclude each other."""
        self._name = record.name
        self._dns = dns
        self._lock = locks
        self.network_id = record.netid
        self.namespace = network_resource.namespace(record.netid)
        self.subnet = record.subnet
        self.ip_range = record.ip_range
        self.gateway = record.subnet.network_address + 1

    async def attach(self, guest: WorkloadId, address: IPv4Address) -> GuestNic:
        """Ensure the guest's tap, bound to its MAC and addresses.

        Raises WorkloadError when `address` is outside the subnet, reserved, or another guest's.
        """
        self._check(address)
        unique = guest.unique(self._name)
        tap, mac = link_name("t-", unique), mac_from(unique.encode())
        six = private_ipv6(self.network_id, address)
        filter = TapFilter(tap, mac, address, six.ip)
        async with self._lock(self.network_id):
            mtu = await _ensure(lambda: self._ensure(filter, guest, address))
        return GuestNic(
            tap=tap,
            namespace=None,
            mac=mac,
            addresses=(str(IPv4Interface((address, self.subnet.prefixlen))), str(six)),
            routes=((str(self.ip_range), str(self.gateway)), (str(WIREGUARD_RANGE), str(self.gateway))),
            gateway4=str(self.gateway),
            gateway6=str(private_ipv6(self.network_id, self.gateway).ip),
            dns=self._dns,
            mtu=mtu,
        )

    async def detach(self, guest: WorkloadId) -> None:
        """Take the guest's tap away.  Safe to repeat."""
        async with self._lock(self.network_id):
            await to_the_end(lambda: guest_tap.remove(link_name("t-", guest.unique(self._name))))

    def _check(self, address: IPv4Address) -> None:
        if address not in self.subnet:
            raise WorkloadError(f"IP {address} is not part of local nr subnet {self.subnet}")
        if address in (self.gateway, self.subnet.network_address, self.subnet.broadcast_address):
            raise WorkloadError(f"ip {address} is reserved")

    def _ensure(self, filter: TapFilter, guest: WorkloadId, address: IPv4Address) -> int:
        for link in network_resource.guests(self.network_id):
            other = TapOwner.of(link)
            if other and other.guest != guest and other.note == str(address):
                raise WorkloadError(f"ip {address} of network {self._name} is taken by {other.guest}")
        bridge = network_resource.bridge(self.network_id)
        return guest_tap.ensure(filter, bridge, TapOwner(guest, str(address)))


@dataclass(frozen=True, slots=True)
class PlanetaryNetwork:
    """Interfaces on the node's overlay /64; implements `NicSource`."""

    prefix: IPv6Network

    async def attach(self, guest: WorkloadId) -> GuestNic:
        unique = guest.unique("ygg")
        tap, mac = link_name("t-", unique), mac_from(f"ygg:{unique}".encode())
        address = planetary_address(self.prefix, mac)
        filter = TapFilter(tap, mac, None, address)
        mtu = await _ensure(lambda: guest_tap.ensure(filter, PLANETARY_BRIDGE, TapOwner(guest, str(address))))
        return GuestNic(
            tap=tap,
            namespace=None,
            mac=mac,
            addresses=(str(IPv6Interface((address, 64))),),
            routes=((str(PLANETARY), str(first_host(self.prefix))),),
            mtu=mtu,
        )

    async def detach(self, guest: WorkloadId) -> None:
        await to_the_end(lambda: guest_tap.remove(link_name("t-", guest.unique("ygg"))))


async def _ensure(work: Callable[[], int]) -> int:
    try:
        return await to_the_end(work)
    except (LinkError, CommandFailed) as error:
        raise WorkloadError(f"could not set up tap device: {error}") from error
