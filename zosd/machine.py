"""What the daemon wants to know of the machine under it; real and null nodes answer in their own files."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from pathlib import Path
from typing import Protocol

from zosd.capacity import DiskLeftAlone, MachineFacts, PoolSpace
from zosd.gpus import Gpu

LAN = "zos"
"""Name under which the farm's LAN stands in the API, and of its bridge."""

OWN_PORTS = (9943, 9944, 9945, 9651, 300, 80, 443, 8082)


class NicRefused(Exception):
    """A NIC cannot carry the public addresses; `str(e)` says why."""


@dataclass(frozen=True, slots=True)
class DiskInUse:
    """A pool's disk, for those who look after its health."""

    pool: str
    device: str
    folder: Path
    """On the disk, for the node itself."""
    errors: Mapping[str, int]
    """What its file system has counted going wrong, by kind; empty when nothing did."""


@dataclass(frozen=True, slots=True)
class Nic:
    addresses: tuple[str, ...]
    """Global ones, in CIDR form."""
    mac: str


class Machine(Protocol):
    @property
    def features(self) -> tuple[str, ...]:
        """What `node_features_get` shows beside the workload types."""
        ...

    @property
    def reserved_ports(self) -> Collection[int]:
        """UDP ports that the node itself uses, not for users' networks (network §3.5)."""
        ...

    async def facts(self) -> MachineFacts:
        """Capacity and load now."""
        ...

    async def pools(self) -> Sequence[PoolSpace]: ...

    @property
    def disks_left_alone(self) -> Sequence[DiskLeftAlone]:
        """Configured disks that are no pool, with the reason."""
        ...

    def disks_in_use(self) -> Sequence[DiskInUse]: ...

    async def addresses(self) -> Mapping[str, Sequence[str]]:
        """Global addresses by interface name (`zos`, `ygg`), without prefix length."""
        ...

    async def has_ipv6(self) -> bool:
        """Whether guests can get a public IPv6 address."""
        ...

    async def own_addresses(self) -> Collection[IPv4Address | IPv6Address]:
        """Addresses under which the node itself answers."""
        ...

    async def virtualized(self) -> bool:
        """Whether the machine is itself a virtual one."""
        ...

    async def secure_boot(self) -> bool:
        """Whether the firmware started only what it has a key for."""
        ...

    async def serial(self) -> str:
        """Serial number of the board; "" when it has none or does not tell."""
        ...

    async def mac(self) -> str:
        """MAC of the bridge `zos`, for the node object."""
        ...

    async def gpus(self) -> Sequence[Gpu]:
        """Graphics cards that are offered.  Raises OSError."""
        ...

    async def nics(self) -> Mapping[str, Nic]:
        """The NICs and the bridge of the LAN, by name."""
        ...

    async def public_nic(self) -> str:
        """The NIC that carries public addresses; `zos` when they share the LAN's."""
        ...

    async def set_public_nic(self, name: str) -> None:
        """Let another NIC (or, with `zos`, the LAN's) carry them, until the next start.  Raises NicRefused."""
        ...
