"""A guest's tap: a bridge port that passes nothing but its own addresses.  Blocking calls."""

from __future__ import annotations

from dataclasses import dataclass

from gridtypes import WorkloadId
from provisioners.system import nft, nft_guest
from provisioners.system.links import Link, LinkError, open_links
from provisioners.system.nft_guest import TapFilter


@dataclass(frozen=True, slots=True)
class TapOwner:
    """Who a tap was made for; stands in the link's alias, so it lives exactly as long as the link."""

    guest: WorkloadId
    note: str = ""
    """The guest's address, or for a public tap the `ip` workload."""

    def __str__(self) -> str:
        return f"{self.guest} {self.note}".rstrip()

    @classmethod
    def of(cls, link: Link) -> TapOwner | None:
        """None for a tap that carries no mark of ours."""
        guest, _, note = link.alias.partition(" ")
        try:
            return cls(WorkloadId.parse(guest), note)
        except ValueError:
            return None


def ensure(filter: TapFilter, bridge: str, owner: TapOwner) -> int:
    """Make the tap with its filter, which is there first; returns the MTU of the bridge.

    Raises LinkError when the bridge is missing or the tap was made for another guest.
    """
    with open_links(None) as links:
        master = links.get(bridge, "bridge")
        tap = links.find(filter.tap)
        holder = TapOwner.of(tap) if tap else None
        if holder is not None and holder.guest != owner.guest:
            raise LinkError(f"tap {filter.tap} was made for {holder.guest}")
        nft.apply(nft_guest.install(filter))
        links.ensure_tap(filter.tap, bridge=master, mtu=master.mtu, alias=str(owner))
        return master.mtu


def remove(tap: str) -> None:
    """Take the tap away, then its filter.  Safe to repeat."""
    with open_links(None) as links:
        links.delete(tap)
    nft.apply(nft_guest.remove(tap))


def find(tap: str) -> TapOwner | None:
    """Whom an existing tap was made for."""
    with open_links(None) as links:
        link = links.find(tap)
        return TapOwner.of(link) if link else None
