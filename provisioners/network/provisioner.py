"""The verbs of workload type `network`."""

from __future__ import annotations

import asyncio
import functools
import logging
from pathlib import Path

from pydantic import BaseModel, RootModel

from gridtypes import TwinId, WorkloadId, WorkloadType
from provisioners.network import inspection
from provisioners.network import spec as network_spec
from provisioners.network.private_network import NodeNetworkPart, PlanetaryNetwork
from provisioners.network.record import PORT_TAKEN, NetworkRecord, reserve
from provisioners.network.spec import NetworkSpec, netid_of
from provisioners.protocol import (
    Context,
    Inspection,
    InUse,
    NicSource,
    PlacedWorkload,
    PrivateNetwork,
    Unchanged,
    WorkloadError,
)
from provisioners.system import network_resource, nft, nft_network, wireguard
from provisioners.system.blocking import to_the_end
from provisioners.system.command import CommandFailed
from provisioners.system.exit_namespaces import PUBLIC
from provisioners.system.guest_tap import TapOwner
from provisioners.system.keyed_locks import KeyedLocks
from provisioners.system.links import LinkError
from provisioners.system.network_resource import NetworkResource
from provisioners.system.node_network import RESERVED_PORTS, NodeNetwork
from provisioners.system.wireguard import PortTaken
from provisioners.system.wireguard_config import WireGuardConfig

log = logging.getLogger(__name__)


class NoData(RootModel[None]):
    """Result data of a network: JSON `null`, but there."""

    root: None = None


class NetworkProvisioner:
    """Makes network resources, and gives guests interfaces in them (`NetworkSource`)."""

    type = WorkloadType.NETWORK

    def __init__(self, node: NodeNetwork) -> None:
        self._node = node
        self._books = asyncio.Lock()
        """Held while ports and leases are compared and written down."""
        self._locks = KeyedLocks()

    # -- verbs -----------------------------------------------------------------------------------------------------

    async def provision(self, ctx: Context, workload: PlacedWorkload) -> BaseModel | None:
        wanted = network_spec.read(workload)
        async with self._locks(wanted.netid):
            record = await self._reserve(ctx, workload.id, wanted)
            await self._converge(wanted, record, before=None)
            await self._settle(ctx, workload.id, record, wanted.port)
        return NoData()

    async def recover(self, ctx: Context, workload: PlacedWorkload) -> BaseModel | None:
        """Look at every object and mend what differs; None when nothing of the network is known here."""
        wanted = network_spec.read(workload)
        async with self._locks(wanted.netid):
            if self._record(ctx, workload.id) is None:
                return None
            record = await self._reserve(ctx, workload.id, wanted)
            await self._converge(wanted, record, before=wanted.wireguard)
            await self._settle(ctx, workload.id, record, wanted.port)
        return NoData()

    async def update(self, ctx: Context, current: PlacedWorkload, wanted: PlacedWorkload) -> BaseModel | None:
        """Apply the difference.  When that fails the former version is put back and goes on: Unchanged."""
        old = network_spec.read(current)
        try:
            new = network_spec.read(wanted)
            async with self._locks(new.netid):
                await self._change(ctx, wanted.id, old, new)
        except Unchanged:
            raise
        except WorkloadError as error:
            raise Unchanged(str(error)) from error
        return NoData()

    async def deprovision(self, ctx: Context, workload: WorkloadId) -> None:
        netid = netid_of(workload)
        async with self._locks(netid):
            record = self._record(ctx, workload)
            if record is None and self._others(ctx, workload, netid):
                return  # refused at its creation: the network of this name is another contract's
            users = await to_the_end(lambda: _users(netid))
            if users:
                raise InUse(f"network '{workload.name}' is still used by {', '.join(users)}")
            await to_the_end(lambda: network_resource.delete(netid))
            for port in record.ports if record else ():
                await self._announce(port, open=False)
            ctx.owner_file(workload, self.type).remove()

    async def inventory(self, ctx: Context) -> set[WorkloadId]:
        return ctx.owned(self.type)

    async def inspect(self, ctx: Context, workload: PlacedWorkload, log_bytes: int) -> Inspection:
        record = self._record(ctx, workload.id)
        return await to_the_end(lambda: inspection.inspect(netid_of(workload.id), record))

    # -- for others ------------------------------------------------------------------------------------------------

    def validate(self, workload: PlacedWorkload) -> None:
        """Check a workload without touching anything, for use at acceptance.  Raises WorkloadError."""
        network_spec.read(workload)

    async def private_network(self, ctx: Context, twin: TwinId, name: str) -> PrivateNetwork:
        record = self._named(ctx, twin, name)
        if record is None:
            raise WorkloadError(f"network '{name}' of twin {twin} is not on this node")
        return NodeNetworkPart(record, self._node.config.dns, self._locks)

    async def planetary(self, ctx: Context) -> NicSource:
        prefix = self._node.planetary_prefix
        if prefix is None:
            raise WorkloadError(
                "this node has no planetary network: leave `planetary` out, or choose another node"
            )
        return PlanetaryNetwork(prefix)

    async def wireguard_ports(self, ctx: Context) -> list[int]:
        """UDP ports that a new network cannot have: the node's own and those of its networks, sorted."""
        held = {port for record in self._records(ctx).values() for port in record.ports}
        return sorted(RESERVED_PORTS | held)

    async def private_ips(self, ctx: Context, twin: TwinId, name: str) -> list[str]:
        """Addresses of guests in a twin's network, sorted.  Raises WorkloadError when there is no such network."""
        record = self._named(ctx, twin, name)
        if record is None:
            raise WorkloadError(f"network '{name}' of twin {twin} is not on this node")
        taps = await to_the_end(lambda: network_resource.guests(record.netid))
        return sorted(owner.note for tap in taps if (owner := TapOwner.of(tap)) and owner.note)

    async def sweep(self, ctx: Context) -> list[str]:
        """Remove network resources that no owner file names, with their guests' taps; returns their ids.

        Call it at start, once all owner files are in place.
        """
        owned = {record.netid for record in self._records(ctx).values()}
        strays = sorted(await to_the_end(network_resource.ids_on_machine) - owned)
        for netid in strays:
            log.warning("removing network %s, which nobody owns", netid)
            async with self._locks(netid):
                await to_the_end(functools.partial(network_resource.delete_with_guests, netid))
        return strays

    # -- parts -----------------------------------------------------------------------------------------------------

    async def _reserve(self, ctx: Context, id: WorkloadId, wanted: NetworkSpec) -> NetworkRecord:
        """Write down what the network will own, before anything of it is made."""
        async with self._books:
            records = self._records(ctx)
            own = records.pop(id, None)
            for other, record in records.items():
                if record.netid == wanted.netid:
                    raise WorkloadError(
                        f"network '{wanted.name}' already exists in contract {other.contract}"
                    )
            record = reserve(wanted, own, records.values())
            if record != own:
                record.write(ctx.owner_file(id, self.type))
            return record

    async def _converge(
        self, wanted: NetworkSpec, record: NetworkRecord, *, before: WireGuardConfig | None
    ) -> None:
        try:
            await to_the_end(
                lambda: network_resource.ensure(
                    self._resource(wanted, record), log=self._log(wanted.netid), before=before
                )
            )
            await self._announce(wanted.port, open=True)
        except PortTaken as error:
            raise WorkloadError(PORT_TAKEN) from error
        except (CommandFailed, LinkError) as error:
            raise WorkloadError(
                f"failed to create network resource for network {wanted.netid}: {error}"
            ) from error

    async def _settle(self, ctx: Context, id: WorkloadId, record: NetworkRecord, port: int) -> None:
        """A change is through: let go of the port that is no longer used."""
        for other in record.ports:
            if other != port:
                await self._announce(other, open=False)
        if record != record.only(port):
            record.only(port).write(ctx.owner_file(id, self.type))

    async def _change(self, ctx: Context, id: WorkloadId, old: NetworkSpec, new: NetworkSpec) -> None:
        if (old.subnet, old.ip_range) != (new.subnet, new.ip_range):
            users = await to_the_end(lambda: _users(new.netid))
            if users:
                raise Unchanged(f"subnet and ip_range cannot change while {', '.join(users)} use the network")
        if new.port != old.port and not await to_the_end(
            lambda: wireguard.port_is_free(new.port, self._node.transport)
        ):
            raise Unchanged(PORT_TAKEN)
        former = self._record(ctx, id)
        record = await self._reserve(ctx, id, new)
        try:
            await self._converge(new, record, before=old.wireguard)
        except WorkloadError as error:
            await self._restore(ctx, id, old, former or record, new, str(error))
            raise Unchanged(str(error)) from error
        await self._settle(ctx, id, record, new.port)

    async def _restore(
        self,
        ctx: Context,
        id: WorkloadId,
        old: NetworkSpec,
        former: NetworkRecord,
        new: NetworkSpec,
        why: str,
    ) -> None:
        try:
            await self._converge(old, former, before=new.wireguard)
        except WorkloadError as error:
            raise WorkloadError(f"{why}; the former version could not be put back: {error}") from error
        former.only(old.port).write(ctx.owner_file(id, self.type))

    async def _announce(self, port: int, *, open: bool) -> None:
        """Let a WireGuard port through the firewall of the public namespace, where there is one."""
        if self._node.transport == PUBLIC:
            await to_the_end(lambda: nft.apply(nft_network.public_port(port, open=open), PUBLIC))

    def _resource(self, wanted: NetworkSpec, record: NetworkRecord) -> NetworkResource:
        return NetworkResource(
            netid=wanted.netid,
            ip_range=wanted.ip_range,
            subnet=wanted.subnet,
            lease=record.lease,
            mtu=self._node.mtu(),
            transport=self._node.transport,
            wireguard=wanted.wireguard,
        )

    def _records(self, ctx: Context) -> dict[WorkloadId, NetworkRecord]:
        found = {id: self._record(ctx, id) for id in ctx.owned(self.type)}
        return {id: record for id, record in found.items() if record is not None}

    def _record(self, ctx: Context, id: WorkloadId) -> NetworkRecord | None:
        return NetworkRecord.read(ctx.owner_file(id, self.type))

    def _named(self, ctx: Context, twin: TwinId, name: str) -> NetworkRecord | None:
        for id in ctx.owned(self.type):
            if id.twin == twin and id.name == name:
                return self._record(ctx, id)
        return None

    def _others(self, ctx: Context, id: WorkloadId, netid: str) -> bool:
        return any(other != id and netid_of(other) == netid for other in ctx.owned(self.type))

    def _log(self, netid: str) -> Path:
        return self._node.log / f"wireguard-{netid}.log"


def _users(netid: str) -> list[str]:
    owners = [(link.name, TapOwner.of(link)) for link in network_resource.guests(netid)]
    return sorted(str(owner.guest) if owner else name for name, owner in owners)
