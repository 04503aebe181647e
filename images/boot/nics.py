"""Which network card becomes the node's way to the farm's LAN.  Pure, over facts that `network.py` reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface


@dataclass(frozen=True, slots=True)
class Lease:
    """What a DHCP server offered, without anything having been configured."""

    address: IPv4Interface
    router: IPv4Address | None
    resolvers: tuple[str, ...] = ()
    server: str = ""
    option: str = ""
    """Text of the private option 224."""


@dataclass(frozen=True, slots=True)
class Nic:
    name: str
    mac: str
    physical: bool
    """Backed by a device; a veth, bridge or VLAN is not."""
    carrier: bool
    driver: str = ""
    lease: Lease | None = None
    probed: bool = False


def candidates(nics: Sequence[Nic]) -> list[Nic]:
    """Cards worth asking: real ones with a cable."""
    return sorted((nic for nic in nics if nic.physical and nic.carrier), key=lambda nic: nic.name)


def choose(nics: Sequence[Nic]) -> Nic | None:
    """The card to use: with a router in a private range first, then any with a router, lowest address first."""
    usable = [(nic.lease, nic) for nic in candidates(nics) if nic.lease and nic.lease.router]
    usable.sort(key=lambda pair: (not _private(pair[0]), int(pair[0].address.ip), pair[1].name))
    return usable[0][1] if usable else None


def _private(lease: Lease) -> bool:
    return lease.router is not None and lease.router.is_private


def explain(nics: Sequence[Nic]) -> str:
    """Why there is no network, as a sentence that a farmer can act on."""
    real = [nic for nic in nics if nic.physical]
    if not real:
        return "no network card with a driver: enable it in the firmware, or use another card"
    cabled = candidates(real)
    if not cabled:
        names = ", ".join(sorted(nic.name for nic in real))
        return f"no cable: {names} {'has' if len(real) == 1 else 'have'} no link; plug a network cable in"
    silent = [f"{nic.name} ({nic.mac})" for nic in cabled if nic.lease is None]
    routeless = [f"{nic.name} ({nic.lease.address})" for nic in cabled if nic.lease and not nic.lease.router]
    parts = []
    if silent:
        parts.append(f"no DHCP answer on {', '.join(silent)}: check cable, switch and router")
    if routeless:
        parts.append(f"DHCP without a router on {', '.join(routeless)}: set a default gateway there")
    return "; ".join(parts)


def should_move(current: str, nics: Sequence[Nic]) -> bool:
    """Whether the choice has to be made again: the chosen card is gone or lost its cable, and another has one."""
    chosen = next((nic for nic in nics if nic.name == current), None)
    if chosen is not None and chosen.carrier:
        return False
    return any(nic.name != current for nic in candidates(nics))
