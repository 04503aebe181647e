"""What engine and accept path have to know of a workload beyond its name and type.  Pure."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from gridtypes import Capacity, Name, Workload
from gridtypes.workloads import (
    GatewayFQDNProxy,
    GatewayNameProxy,
    Volume,
    ZLogs,
    ZMachine,
    ZMachineLight,
    ZMount,
)


@dataclass(frozen=True, slots=True)
class Traits:
    capacity: Capacity
    needs: tuple[Name, ...] = ()
    """Names that have to be there first: workloads of the deployment, or networks of the twin."""
    size: int = 0
    """Bytes of a disk, 0 for other types; larger disks are made first."""


@lru_cache(maxsize=65536)
def traits(workload: Workload) -> Traits:
    """Raises what `Workload.load` raises; an accepted workload always loads."""
    data = workload.load()
    return Traits(capacity=workload.capacity(), needs=_needs(data), size=_size(data))


def _size(data: Any) -> int:
    return int(data.size) if isinstance(data, ZMount | Volume) else 0


def _needs(data: Any) -> tuple[Name, ...]:
    match data:
        case ZMachine():
            networks = [interface.network for interface in data.network.interfaces]
            public = [data.network.public_ip] if data.network.public_ip else []
            return _names([mount.name for mount in data.mounts] + networks + public)
        case ZMachineLight():
            networks = [interface.network for interface in data.network.interfaces]
            return _names([mount.name for mount in data.mounts] + networks)
        case ZLogs():
            return _names([data.zmachine])
        case GatewayNameProxy() | GatewayFQDNProxy():
            return _names([data.network] if data.network else [])
        case _:
            return ()


def _names(names: list[Any]) -> tuple[Name, ...]:
    return tuple(dict.fromkeys(Name(name) for name in names))
