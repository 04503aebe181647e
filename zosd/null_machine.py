"""A machine for null provisioners: the capacity that is configured, or what is plausible."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address

import psutil

from gridtypes import Capacity
from zosd.capacity import GIB, DiskLeftAlone, MachineFacts, Media, PoolSpace
from zosd.config import CapacitySection
from zosd.gpus import Gpu
from zosd.machine import LAN, OWN_PORTS, DiskInUse, Nic, NicRefused

SSD = 500 * GIB
HDD = 1000 * GIB


class NullMachine:
    """Answers as a node would on which everything in the journal really lay.

    `used` gives what healthy workloads use.
    """

    features: tuple[str, ...] = ("null",)
    reserved_ports: Collection[int] = OWN_PORTS

    def __init__(self, capacity: CapacitySection, used: Callable[[], Capacity]) -> None:
        self._used = used
        self._total = Capacity(
            cru=capacity.cru or os.cpu_count() or 1,
            mru=capacity.mru or psutil.virtual_memory().total,
            sru=capacity.sru or SSD,
            hru=capacity.hru or HDD,
        )

    async def facts(self) -> MachineFacts:
        # Nothing is ever really used, so the kernel's figures would say nothing about the guests.
        return MachineFacts(self._total, None, tuple(await self.pools()), overhead=0)

    async def pools(self) -> Sequence[PoolSpace]:
        total, used = self._total, self._used()
        return (
            PoolSpace("null-ssd", Media.SSD, total.sru, used.sru, max(0, total.sru - used.sru)),
            PoolSpace("null-hdd", Media.HDD, total.hru, used.hru, max(0, total.hru - used.hru)),
        )

    @property
    def disks_left_alone(self) -> Sequence[DiskLeftAlone]:
        return ()

    def disks_in_use(self) -> Sequence[DiskInUse]:
        return ()

    async def addresses(self) -> Mapping[str, Sequence[str]]:
        return {"zos": [], "ygg": []}

    async def has_ipv6(self) -> bool:
        return False

    async def own_addresses(self) -> Collection[IPv4Address | IPv6Address]:
        return ()

    async def virtualized(self) -> bool:
        return True

    async def secure_boot(self) -> bool:
        return False

    async def serial(self) -> str:
        return ""

    async def mac(self) -> str:
        return "02:00:00:00:00:00"

    async def gpus(self) -> Sequence[Gpu]:
        return ()

    async def nics(self) -> Mapping[str, Nic]:
        return {LAN: Nic((), await self.mac())}

    async def public_nic(self) -> str:
        return LAN

    async def set_public_nic(self, name: str) -> None:
        if name != LAN:
            raise NicRefused(f"Link not found: the node has no NIC {name!r}")
