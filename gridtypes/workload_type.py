"""The thirteen types of workloads."""

from __future__ import annotations

from enum import StrEnum


class WorkloadType(StrEnum):
    """A type as it is written.  A deployment may carry a type that nobody knows; see `of` and `known`."""

    ZMACHINE = "zmachine"
    ZMACHINE_LIGHT = "zmachine-light"
    NETWORK = "network"
    NETWORK_LIGHT = "network-light"
    ZMOUNT = "zmount"
    VOLUME = "volume"
    ZDB = "zdb"
    IP = "ip"
    IPV4 = "ipv4"
    """Deprecated; `IP` with v4."""
    GATEWAY_NAME_PROXY = "gateway-name-proxy"
    GATEWAY_FQDN_PROXY = "gateway-fqdn-proxy"
    QSFS = "qsfs"
    ZLOGS = "zlogs"

    @classmethod
    def of(cls, text: str) -> WorkloadType:
        """The type with this text; for an unknown text a stand-in whose `known` is false."""
        try:
            return cls(text)
        except ValueError:
            stranger = str.__new__(cls, text)
            stranger._name_ = stranger._value_ = text
            return stranger

    @property
    def known(self) -> bool:
        return self._value_ in type(self)._value2member_map_

    @property
    def sharable(self) -> bool:
        """Other deployments of the twin may refer to such a workload, so its name is unique for the twin."""
        return self in (WorkloadType.NETWORK, WorkloadType.NETWORK_LIGHT)

    @property
    def updatable(self) -> bool:
        """Such a workload can change while it runs."""
        return self in _UPDATABLE


_UPDATABLE = frozenset(
    {
        WorkloadType.NETWORK,
        WorkloadType.NETWORK_LIGHT,
        WorkloadType.ZMOUNT,
        WorkloadType.VOLUME,
        WorkloadType.ZDB,
        WorkloadType.QSFS,
    }
)
