"""How a node is wired: what the configuration file and the chain say about its network."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Interface, IPv6Address, IPv6Interface
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, IPvAnyNetwork, model_validator

from provisioners.system.prefixes import Network


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class StaticAddress(_Frozen):
    """A fixed IPv4 address instead of DHCP."""

    address: IPv4Interface
    gateway: IPv4Address | None = None


class YggdrasilSettings(_Frozen):
    enabled: bool = True
    peers: tuple[str, ...] = Field(default=(), max_length=64)
    """URIs such as `tcp://198.51.100.7:9943`."""
    multicast: bool = True
    """Find peers on the public segment by multicast."""


class NodeNetworkConfig(_Frozen):
    """The node's own network.  Only named devices are touched."""

    uplink: str = Field(default="eth0", min_length=1, max_length=15)
    """The NIC on the farm's LAN; it becomes a port of bridge `zos`."""
    address: Literal["dhcp"] | StaticAddress = "dhcp"
    """IPv4 address of `zos`."""
    exit_address: Literal["dhcp"] | StaticAddress = "dhcp"
    """IPv4 address of `npub4`, through which users' networks reach the outside."""
    public_nic: str | None = Field(default=None, min_length=1, max_length=15)
    """A second NIC on the public segment; without one, bridge `br-pub` shares the uplink."""
    mtu: int | None = Field(default=None, ge=1280, le=9216)
    """Bytes; None takes the uplink's.  It is passed on to bridges, tunnels and guests."""
    open_prefixes: tuple[IPvAnyNetwork, ...] = Field(default=(), max_length=64)
    """Prefixes of the farm's LAN that guests may reach.  None by default (decision 36)."""
    dns: tuple[str, ...] = ("8.8.8.8", "1.1.1.1", "2001:4860:4860::8888")
    """Resolvers that guests are told."""
    yggdrasil: YggdrasilSettings = YggdrasilSettings()

    @property
    def opened(self) -> tuple[Network, ...]:
        return tuple(self.open_prefixes)


class PublicConfig(_Frozen):
    """A node's public configuration, as the chain has it (`network.md` §2)."""

    type: Literal["", "macvlan"] = ""
    ipv4: IPv4Interface | None = None
    gw4: IPv4Address | None = None
    ipv6: IPv6Interface | None = None
    gw6: IPv6Address | None = None
    domain: str = Field(default="", max_length=128)

    @model_validator(mode="after")
    def _addresses_come_with_gateways(self) -> PublicConfig:
        if not (self.ipv4 and self.gw4) and not (self.ipv6 and self.gw6):
            raise ValueError("missing some information in the exit iface object")
        return self
