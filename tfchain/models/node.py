"""Nodes: machines of a farm, what they have and how they are reached."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

from gridtypes.ids import FarmId, NodeId, TwinId
from tfchain.models.values import Struct, optional_text, text, variant


@dataclass(frozen=True, slots=True)
class Resources:
    """Capacity: disk (`hru` spinning, `sru` solid) and memory (`mru`) in bytes, `cru` in virtual cores."""

    hru: int = 0
    sru: int = 0
    cru: int = 0
    mru: int = 0

    @classmethod
    def from_value(cls, value: Struct) -> Self:
        return cls(value["hru"], value["sru"], value["cru"], value["mru"])

    def to_value(self) -> Struct:
        return {"hru": self.hru, "sru": self.sru, "cru": self.cru, "mru": self.mru}


@dataclass(frozen=True, slots=True)
class Location:
    """Where a node says that it is; latitude and longitude are decimal texts or `Unknown`."""

    city: str
    country: str
    latitude: str
    longitude: str

    @classmethod
    def from_value(cls, value: Struct) -> Self:
        return cls(**{name: text(value[name]) for name in ("city", "country", "latitude", "longitude")})

    def to_value(self) -> Struct:
        return {name: getattr(self, name).encode() for name in ("city", "country", "latitude", "longitude")}


@dataclass(frozen=True, slots=True)
class Interface:
    """A network interface as registered: addresses are plain texts without prefix length."""

    name: str
    mac: str
    ips: tuple[str, ...] = ()

    @classmethod
    def from_value(cls, value: Struct) -> Self:
        return cls(text(value["name"]), text(value["mac"]), tuple(map(text, value["ips"])))

    def to_value(self) -> Struct:
        return {"name": self.name.encode(), "mac": self.mac.encode(), "ips": [ip.encode() for ip in self.ips]}


@dataclass(frozen=True, slots=True)
class ConfiguredAddress:
    """An address (CIDR text) and its gateway (plain text)."""

    ip: str
    gw: str

    @classmethod
    def from_value(cls, value: Struct) -> Self:
        return cls(text(value["ip"]), text(value["gw"]))

    def to_value(self) -> Struct:
        return {"ip": self.ip.encode(), "gw": self.gw.encode()}


@dataclass(frozen=True, slots=True)
class PublicConfig:
    """A node's own public network, set by its farmer."""

    ip4: ConfiguredAddress
    ip6: ConfiguredAddress | None = None
    domain: str | None = None

    @classmethod
    def from_value(cls, value: Struct) -> Self:
        ip6 = value["ip6"]
        return cls(
            ip4=ConfiguredAddress.from_value(value["ip4"]),
            ip6=None if ip6 is None else ConfiguredAddress.from_value(ip6),
            domain=optional_text(value["domain"]),
        )

    def to_value(self) -> Struct:
        return {
            "ip4": self.ip4.to_value(),
            "ip6": None if self.ip6 is None else self.ip6.to_value(),
            "domain": None if self.domain is None else self.domain.encode(),
        }


@dataclass(frozen=True, slots=True)
class Node:
    id: NodeId
    farm_id: FarmId
    twin_id: TwinId
    resources: Resources
    location: Location
    public_config: PublicConfig | None
    created: int
    """Unix time in seconds."""
    farming_policy_id: int
    interfaces: tuple[Interface, ...]
    certification: str
    """`Diy` or `Certified`."""
    secure_boot: bool
    virtualized: bool
    serial_number: str | None
    connection_price: int

    @classmethod
    def from_value(cls, value: Struct) -> Self:
        config = value["public_config"]
        return cls(
            id=NodeId(value["id"]),
            farm_id=FarmId(value["farm_id"]),
            twin_id=TwinId(value["twin_id"]),
            resources=Resources.from_value(value["resources"]),
            location=Location.from_value(value["location"]),
            public_config=None if config is None else PublicConfig.from_value(config),
            created=value["created"],
            farming_policy_id=value["farming_policy_id"],
            interfaces=tuple(map(Interface.from_value, value["interfaces"])),
            certification=value["certification"],
            secure_boot=value["secure_boot"],
            virtualized=value["virtualized"],
            serial_number=optional_text(value["serial_number"]),
            connection_price=value["connection_price"],
        )


@dataclass(frozen=True, slots=True)
class NodePower:
    """Whether a node is up, and whether its farmer wants it up."""

    is_up: bool
    wanted_up: bool
    down_since: int | None = None
    """The block in which the node went down."""

    @classmethod
    def from_value(cls, value: Any) -> Self:
        state, block = variant(value["state"])
        target, _ = variant(value["target"])
        return cls(is_up=state == "Up", wanted_up=target == "Up", down_since=block)
