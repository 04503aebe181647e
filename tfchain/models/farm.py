"""Farms and the public addresses that they offer."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Self

from gridtypes.ids import ContractId, FarmId, TwinId
from tfchain.farm_ip import FarmAddress, parse_farm_address
from tfchain.models.values import Struct, text

FREE = ContractId(0)
"""The contract of an address that nobody holds."""


@dataclass(frozen=True, slots=True)
class PublicIp:
    ip: str
    """CIDR text, for example `185.206.122.33/24`."""
    gateway: str
    contract_id: ContractId = FREE
    """The contract that holds it, or `FREE`."""

    @property
    def is_free(self) -> bool:
        return self.contract_id == FREE

    def parsed(self) -> FarmAddress:
        """Address and gateway; raises ValueError: old farms have texts that today's chain would refuse."""
        return parse_farm_address(self.ip, self.gateway)

    @classmethod
    def from_value(cls, value: Struct) -> Self:
        return cls(text(value["ip"]), text(value["gateway"]), ContractId(value["contract_id"]))


@dataclass(frozen=True, slots=True)
class FarmingPolicyLimit:
    farming_policy_id: int
    cu: int | None
    su: int | None
    end: int | None
    """Unix time in seconds."""
    node_count: int | None
    node_certification: bool
    """Whether only certified nodes come under it."""

    def to_value(self) -> Struct:
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Farm:
    id: FarmId
    name: str
    twin_id: TwinId
    """The farmer."""
    pricing_policy_id: int
    certification: str
    """`NotCertified` or `Gold`."""
    public_ips: tuple[PublicIp, ...]
    dedicated_farm: bool
    farming_policy_limits: FarmingPolicyLimit | None

    @classmethod
    def from_value(cls, value: Struct) -> Self:
        limits = value["farming_policy_limits"]
        return cls(
            id=FarmId(value["id"]),
            name=text(value["name"]),
            twin_id=TwinId(value["twin_id"]),
            pricing_policy_id=value["pricing_policy_id"],
            certification=value["certification"],
            public_ips=tuple(map(PublicIp.from_value, value["public_ips"])),
            dedicated_farm=value["dedicated_farm"],
            farming_policy_limits=None if limits is None else FarmingPolicyLimit(**limits),
        )
