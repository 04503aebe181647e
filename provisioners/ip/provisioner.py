"""The verbs of workload types `ip` and `ipv4`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, IPv6Interface

from gridtypes import WorkloadId, WorkloadType
from gridtypes.results import PublicIPResult
from gridtypes.workloads import PublicIP, PublicIP4
from provisioners.ip.record import AddressRecord, choose
from provisioners.protocol import Context, GuestNic, InUse, NicSource, PlacedWorkload, WorkloadError
from provisioners.system import address_probe, guest_tap, nft, nft_guest
from provisioners.system.blocking import to_the_end
from provisioners.system.command import CommandFailed
from provisioners.system.derive import link_name, mac_from, slaac
from provisioners.system.guest_tap import TapOwner
from provisioners.system.links import LinkError, open_links
from provisioners.system.nft_guest import TapFilter
from provisioners.system.node_bridges import PUBLIC_BRIDGE
from provisioners.system.node_network import NodeNetwork


class PublicIpProvisioner:
    """Binds addresses of the contract to the MAC of a machine's public interface (`PublicIpSource`)."""

    def __init__(self, node: NodeNetwork, type: WorkloadType = WorkloadType.IP) -> None:
        """`type` is `ip`, or `ipv4` for the deprecated form; both share a contract's addresses."""
        self.type = type
        self._node = node

    # -- verbs -----------------------------------------------------------------------------------------------------

    async def provision(self, ctx: Context, workload: PlacedWorkload) -> PublicIPResult:
        record = await self._choose(ctx, workload)
        if not record.probed:
            await to_the_end(lambda: self._probe(record))
            record = replace(record, probed=True)
            record.write(ctx.owner_file(workload.id, self.type))
        await _filter(record)
        return record.result()

    async def recover(self, ctx: Context, workload: PlacedWorkload) -> PublicIPResult | None:
        record = AddressRecord.read(ctx.owner_file(workload.id, self.type))
        if record is None or not record.probed:
            return None
        await _filter(record)
        return record.result()

    async def deprovision(self, ctx: Context, workload: WorkloadId) -> None:
        tap = _tap(workload)
        user = await to_the_end(lambda: guest_tap.find(tap))
        if user is not None:
            raise InUse(f"public address '{workload.name}' is still used by {user.guest}")
        await to_the_end(lambda: guest_tap.remove(tap))
        ctx.owner_file(workload, self.type).remove()

    async def inventory(self, ctx: Context) -> set[WorkloadId]:
        return ctx.owned(self.type)

    # -- for others ------------------------------------------------------------------------------------------------

    async def public_ip(self, ctx: Context, ip_workload: WorkloadId) -> NicSource:
        for type in (WorkloadType.IP, WorkloadType.IPV4):
            record = AddressRecord.read(ctx.owner_file(ip_workload, type))
            if record is not None:
                return PublicInterface(record, ip_workload, self._node)
        raise WorkloadError(f"public address '{ip_workload.name}' is not on this node")

    async def public_ips(self, ctx: Context) -> list[str]:
        """The addresses given out on this node, in CIDR form, sorted; both types."""
        found = [record.ipv4 for record in _records(ctx).values() if record.ipv4 and record.probed]
        return [str(address) for address in sorted(found)]

    async def traffic(self, ctx: Context) -> dict[WorkloadId, int]:
        """Bytes sent and received over each public interface that is there, since it was made; both types."""
        records = _records(ctx)

        def read() -> dict[WorkloadId, int]:
            with open_links(None) as links:
                found = {link.name: link.received + link.sent for link in links.all()}
            return {id: found[record.tap] for id, record in records.items() if record.tap in found}

        return await to_the_end(read)

    # -- parts -----------------------------------------------------------------------------------------------------

    async def _choose(self, ctx: Context, workload: PlacedWorkload) -> AddressRecord:
        """Decide on the addresses and write them down, before anything uses them."""
        data = workload.workload.load()
        if not isinstance(data, PublicIP | PublicIP4):
            raise WorkloadError(f"workload {workload.id} is not a public address")
        v4, v6 = (data.v4, data.v6) if isinstance(data, PublicIP) else (True, False)
        reserved = await ctx.reserved_ips(workload.contract) if v4 else ()
        owner = ctx.owner_file(workload.id, self.type)
        async with self._node.address_books:
            records = _records(ctx)
            own = records.pop(workload.id, None)
            siblings = [record for id, record in records.items() if id.contract == workload.contract]
            four = choose(reserved, own.ipv4 if own else None, siblings) if v4 else None
            tap = _tap(workload.id)
            mac = mac_from(tap[2:].encode())
            record = AddressRecord(
                tap=tap,
                mac=mac,
                ipv4=four.address if four else None,
                gateway=four.gateway if four else None,
                ipv6=await self._ipv6(mac, own) if v6 else None,
                probed=False,
            )
            if own is not None and replace(own, probed=False) == record:
                return own
            record.write(owner)
            return record

    async def _ipv6(self, mac: str, own: AddressRecord | None) -> IPv6Interface:
        """The address that the segment's prefix gives to the MAC."""
        if own is not None and own.ipv6 is not None:
            return own.ipv6
        await self._node.refresh()  # the segment's prefix has to be closed before a guest can send to it
        node = await to_the_end(self._node.public_ipv6)
        if node is None:
            raise WorkloadError(
                "no public ipv6 found: no router advertisement on the node's public segment yet"
            )
        return IPv6Interface((slaac(node.network, mac), 64))

    def _probe(self, record: AddressRecord) -> None:
        try:
            with open_links(None) as links:
                sender = links.get(PUBLIC_BRIDGE, "bridge").mac
            for address in (record.ipv4, record.ipv6):
                if address is None:
                    continue
                other = address_probe.other_holder(address.ip, self._node.uplink_port, sender, record.mac)
                if other is not None:
                    raise WorkloadError(
                        f"public address {address.ip} is already used by the device {other} on the farm's network"
                    )
        except (LinkError, OSError) as error:
            raise WorkloadError(f"public address cannot be probed: {error}") from error


@dataclass(frozen=True, slots=True)
class PublicInterface:
    """The interface that carries a public address; implements `NicSource`.  One machine at a time."""

    record: AddressRecord
    workload: WorkloadId
    node: NodeNetwork

    async def attach(self, guest: WorkloadId) -> GuestNic:
        owner = TapOwner(guest, str(self.workload))
        try:
            mtu = await to_the_end(lambda: guest_tap.ensure(_tap_filter(self.record), PUBLIC_BRIDGE, owner))
        except (LinkError, CommandFailed) as error:
            raise WorkloadError(f"could not set up tap device for public network: {error}") from error
        addresses = [str(address) for address in (self.record.ipv4, self.record.ipv6) if address]
        gateway6 = await to_the_end(self.node.ipv6_gateway) if self.record.ipv6 else None
        if self.record.ipv6 and gateway6 is None:
            raise WorkloadError("failed to get the default gateway for ipv6: no router advertisement yet")
        return GuestNic(
            tap=self.record.tap,
            namespace=None,
            mac=self.record.mac,
            addresses=tuple(addresses),
            gateway4=str(self.record.gateway) if self.record.gateway else None,
            gateway6=str(gateway6) if gateway6 else None,
            mtu=mtu,
        )

    async def detach(self, guest: WorkloadId) -> None:
        """Take the tap away; the address and its filter stay with the workload."""

        def leave() -> None:
            holder = guest_tap.find(self.record.tap)
            if holder is None or holder.guest == guest:
                with open_links(None) as links:
                    links.delete(self.record.tap)

        await to_the_end(leave)


def _records(ctx: Context) -> dict[WorkloadId, AddressRecord]:
    found = {
        id: AddressRecord.read(ctx.owner_file(id, type))
        for type in (WorkloadType.IP, WorkloadType.IPV4)
        for id in ctx.owned(type)
    }
    return {id: record for id, record in found.items() if record is not None}


def _tap(workload: WorkloadId) -> str:
    return link_name("p-", workload.unique("pub"))


def _tap_filter(record: AddressRecord) -> TapFilter:
    four: IPv4Address | None = record.ipv4.ip if record.ipv4 else None
    six: IPv6Address | None = record.ipv6.ip if record.ipv6 else None
    return TapFilter(record.tap, record.mac, four, six, on_lan=True)


async def _filter(record: AddressRecord) -> None:
    """Put the filter there before any tap: there is no unfiltered moment."""
    try:
        await to_the_end(lambda: nft.apply(nft_guest.install(_tap_filter(record))))
    except CommandFailed as error:
        raise WorkloadError(f"could not bind the public address to its machine: {error}") from error
