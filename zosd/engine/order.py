"""The one order in which workload types are installed; removal goes the other way (engine §4.1, BETTER)."""

from __future__ import annotations

from gridtypes import WorkloadType

INSTALL_ORDER: tuple[WorkloadType, ...] = (
    WorkloadType.ZMOUNT,
    WorkloadType.VOLUME,
    WorkloadType.QSFS,
    WorkloadType.NETWORK,
    WorkloadType.NETWORK_LIGHT,
    WorkloadType.IPV4,
    WorkloadType.IP,
    WorkloadType.ZMACHINE,
    WorkloadType.ZMACHINE_LIGHT,
    WorkloadType.ZLOGS,
    WorkloadType.ZDB,
    WorkloadType.GATEWAY_NAME_PROXY,
    WorkloadType.GATEWAY_FQDN_PROXY,
)

_RANK = {type: rank for rank, type in enumerate(INSTALL_ORDER)}
_LARGEST_FIRST = frozenset({WorkloadType.ZMOUNT, WorkloadType.VOLUME})


def install_key(type: WorkloadType, size: int, position: int) -> tuple[int, int, int]:
    """Sort key: type, then larger disks first, then the order in which the client sent them."""
    return (_RANK[type], -size if type in _LARGEST_FIRST else 0, position)
