"""What a guest is told at its start: name, network, mounts, environment, command."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_interface

from provisioners.protocol import GuestNic

DEFAULT_DNS = ("8.8.8.8", "1.1.1.1", "2001:4860:4860::8888")
"""Name servers of a guest whose network names none (`vm.md` A6)."""


@dataclass(frozen=True, slots=True)
class Mount:
    """A disk or share that the guest mounts."""

    source: str
    """Serial of the virtio disk, or tag of the virtiofs share."""
    target: str
    """Absolute path in the guest."""
    share: bool = False


@dataclass(frozen=True, slots=True)
class GuestConfig:
    """Everything that goes onto the configuration disk."""

    id: str
    hostname: str
    nics: tuple[GuestNic, ...]
    """In the order private, public, planetary."""
    public: GuestNic | None = None
    """The one of `nics` that has the public address; the default routes go there."""
    mounts: tuple[Mount, ...] = ()
    ssh_keys: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    command: tuple[str, ...] = ("/sbin/init",)
    """First process, then its arguments."""

    @property
    def dns(self) -> tuple[str, ...]:
        return next((nic.dns for nic in self.nics if nic.dns), DEFAULT_DNS)

    @property
    def address(self) -> str | None:
        """The private IPv4 address, without its prefix length."""
        found = (ip_interface(text) for nic in self.nics[:1] for text in nic.addresses)
        return next((str(address.ip) for address in found if address.version == 4), None)

    def default_gateways(self) -> dict[GuestNic, tuple[str, ...]]:
        """The gateways of each interface that stays a default route.

        One for each IP version: that of the public interface where it has one, else the first that there is.
        """
        chosen: dict[GuestNic, tuple[str, ...]] = {}
        preferred = [self.public] if self.public else []
        for version in (4, 6):
            for nic in (*preferred, *self.nics):
                gateway = nic.gateway4 if version == 4 else nic.gateway6
                if gateway:
                    chosen[nic] = (*chosen.get(nic, ()), gateway)
                    break
        return chosen


def is_on_link(gateway: str, nic: GuestNic) -> bool:
    """True when the gateway is a neighbour by one of the interface's own prefixes."""
    address = ip_address(gateway)
    if address.is_link_local:
        return True
    return any(address in ip_interface(text).network for text in nic.addresses)
