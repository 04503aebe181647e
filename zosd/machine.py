"""What the daemon wants to know of the machine under it; real and null nodes answer in their own files."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from ipaddress import IPv4Address, IPv6Address
from typing import Protocol

from zosd.capacity import DiskLeftAlone, MachineFacts, PoolSpace


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

    async def serial(self) -> str:
        """Serial number of the board; "" when it has none or does not tell."""
        ...

    async def mac(self) -> str:
        """MAC of the bridge `zos`, for the node object."""
        ...


OWN_PORTS = (9943, 9944, 9945, 9651, 300, 80, 443, 8082)
