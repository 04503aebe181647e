"""The machine under a real node: its processors, memory, pools and addresses."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Collection, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address
from pathlib import Path

import psutil
import structlog

from gridtypes import Capacity
from provisioners.system import disk_errors
from provisioners.system.command import CommandFailed
from provisioners.system.disk_class import DiskClass
from provisioners.system.links import LinkError
from provisioners.system.node_network import RESERVED_PORTS, NodeNetwork
from provisioners.system.pools import Pools
from zosd.api.system import hypervisor
from zosd.api.tool import ToolFailed
from zosd.capacity import DiskLeftAlone, MachineFacts, Media, PoolSpace
from zosd.config import CapacitySection
from zosd.gpus import Gpu, list_gpus
from zosd.machine import LAN, DiskInUse, Nic, NicRefused

log = structlog.get_logger(__name__)

BRIDGE = "zos"
BOARD_SERIAL = Path("/sys/class/dmi/id/board_serial")
SECURE_BOOT = Path("/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c")
"""A global variable of UEFI: four bytes of attributes, then one that is 1 when signatures are enforced."""
MOST_SERIAL = 128
"""Bytes that the chain takes."""


def is_secure_boot(variable: Path) -> bool:
    """What the firmware's variable says; False on a machine without UEFI."""
    try:
        return variable.read_bytes()[4:5] == b"\x01"
    except OSError:
        return False


class RealMachine:
    reserved_ports: Collection[int] = RESERVED_PORTS

    def __init__(
        self,
        capacity: CapacitySection,
        network: NodeNetwork,
        pools: Pools,
        overhead: int,
        features: tuple[str, ...],
        offers_gpus: bool,
    ) -> None:
        """`overhead`: bytes of memory that a guest takes beside its own."""
        self._offers_gpus = offers_gpus
        self.features = features
        self._network = network
        self._pools = pools
        self._overhead = overhead
        sizes = {DiskClass.SSD: 0, DiskClass.HDD: 0}
        for pool in pools.pools:
            sizes[pool.type] += pool.size
        self._total = Capacity(
            cru=capacity.cru or os.cpu_count() or 1,
            mru=capacity.mru or psutil.virtual_memory().total,
            sru=capacity.sru or sizes[DiskClass.SSD],
            hru=capacity.hru or sizes[DiskClass.HDD],
        )

    async def facts(self) -> MachineFacts:
        available = min(self._total.mru, psutil.virtual_memory().available)
        return MachineFacts(self._total, available, tuple(await self.pools()), self._overhead)

    async def pools(self) -> Sequence[PoolSpace]:
        found = []
        for pool in self._pools.pools:
            try:
                space = await pool.space()
            except (CommandFailed, OSError) as error:
                log.warning("pool cannot be read", pool=pool.name, why=str(error))
                continue
            media = Media.SSD if pool.type is DiskClass.SSD else Media.HDD
            found.append(PoolSpace(pool.name, media, space.size, space.promised, space.allocatable))
        return found

    @property
    def disks_left_alone(self) -> Sequence[DiskLeftAlone]:
        return [DiskLeftAlone(str(disk.path), disk.reason) for disk in self._pools.refused]

    def disks_in_use(self) -> Sequence[DiskInUse]:
        return [
            DiskInUse(pool.name, str(pool.device), pool.mount, disk_errors.errors(pool.name))
            for pool in self._pools.pools
        ]

    async def addresses(self) -> Mapping[str, Sequence[str]]:
        return await self._network.interfaces()

    async def has_ipv6(self) -> bool:
        return await self._network.has_ipv6()

    async def own_addresses(self) -> Collection[IPv4Address | IPv6Address]:
        found = {ip_address(text) for texts in (await self.addresses()).values() for text in texts}
        if self._network.planetary_address is not None:
            found.add(self._network.planetary_address)
        config = self._network.public_config
        if config is not None:
            found |= {one.ip for one in (config.ipv4, config.ipv6) if one is not None}
        return found

    async def virtualized(self) -> bool:
        try:
            return bool(await hypervisor())
        except ToolFailed as error:
            raise OSError(f"whether the machine is a virtual one cannot be told: {error}") from error

    async def secure_boot(self) -> bool:
        return is_secure_boot(SECURE_BOOT)

    async def serial(self) -> str:
        try:
            return BOARD_SERIAL.read_text(errors="replace").strip()[:MOST_SERIAL]
        except OSError:
            return ""

    async def mac(self) -> str:
        return (Path("/sys/class/net") / BRIDGE / "address").read_text().strip()

    async def gpus(self) -> Sequence[Gpu]:
        return await asyncio.to_thread(list_gpus) if self._offers_gpus else ()

    async def nics(self) -> Mapping[str, Nic]:
        found = await self._network.nics()
        return {name: Nic(addresses, mac) for name, (addresses, mac) in found.items()}

    async def public_nic(self) -> str:
        return self._network.config.public_nic or LAN

    async def set_public_nic(self, name: str) -> None:
        try:
            await self._network.set_public_nic(None if name == LAN else name)
        except LinkError as error:
            raise NicRefused(str(error)) from error
