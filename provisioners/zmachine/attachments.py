"""A machine's network interfaces: asked for from those who make them, and given back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_interface

import structlog

from gridtypes import WorkloadId
from gridtypes.results import ZMachineResult
from provisioners.protocol import Context, GuestNic, WorkloadError
from provisioners.system.console_server import console_port
from provisioners.zmachine.record import MachineRecord
from provisioners.zmachine.specification import Specification

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Attachments:
    """Where one machine is connected."""

    namespace: str
    """The private network's, in which the console listens."""
    gateway: IPv4Address
    private: GuestNic
    public: GuestNic | None
    planetary: GuestNic | None

    @property
    def nics(self) -> tuple[GuestNic, ...]:
        """In the order in which the guest gets them, from `eth0` on."""
        return tuple(nic for nic in (self.private, self.public, self.planetary) if nic is not None)

    def result(self, wanted: Specification) -> ZMachineResult:
        planetary = self.planetary.addresses[0] if self.planetary else ""
        return ZMachineResult(
            id=str(wanted.id),
            ip=str(wanted.address),
            planetary_ip=str(ip_interface(planetary).ip) if planetary else "",
            console_url=f"{self.gateway}:{console_port(wanted.address)}",
        )


async def attach(ctx: Context, wanted: Specification) -> Attachments:
    """Ensure every interface.  Raises WorkloadError."""
    id = wanted.id
    network = await ctx.network(id.twin, wanted.network)
    private = await network.attach(id, wanted.address)
    public = await (await ctx.public_ip(wanted.public_ip)).attach(id) if wanted.public_ip else None
    planetary = await (await ctx.planetary()).attach(id) if wanted.planetary else None
    return Attachments(network.namespace, network.gateway, private, public, planetary)


async def detach(ctx: Context, record: MachineRecord) -> None:
    """Give every interface back, from the record alone.  Safe to repeat.

    A source that is gone took its interfaces along.
    """
    id = record.workload

    async def private() -> None:
        await (await ctx.network(id.twin, record.network)).detach(id)

    async def public() -> None:
        if record.public_ip:
            await (await ctx.public_ip(WorkloadId.parse(record.public_ip))).detach(id)

    async def planetary() -> None:
        if record.planetary:
            await (await ctx.planetary()).detach(id)

    for give_back in (private, public, planetary):
        await _if_there(give_back, id)


async def _if_there(give_back: Callable[[], Awaitable[None]], id: WorkloadId) -> None:
    try:
        await give_back()
    except WorkloadError as error:
        log.info("interface has nobody to be given back to", workload=str(id), reason=str(error))
