"""What plugins propose, and what they get to see."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Protocol

from dynamo.core.registry.access import Note, Registry
from dynamo.dataformat import Block, Dataset, Group, Partition, Site
from dynamo.dataformat.repository import Repository


@dataclass(frozen=True, slots=True)
class Proposal:
    """A copy of a dataset, or of some of its blocks.

    Without a destination one is drawn, among `allowed` if that is not None.  Without a group the dealer's own gets it.
    """

    dataset: Dataset
    blocks: tuple[Block, ...] | None = None
    destination: Site | None = None
    group: Group | None = None
    allowed: Collection[Site] | None = None
    request_id: int | None = None
    items: tuple[str, ...] = ()

    @property
    def members(self) -> Collection[Block]:
        """The blocks that are to be copied."""
        return self.dataset.blocks if self.blocks is None else self.blocks

    @property
    def size(self) -> int:
        """Bytes of all of it."""
        return sum(block.size for block in self.members)

    def __str__(self) -> str:
        if self.blocks is None:
            return self.dataset.name
        return ", ".join(sorted(block.full_name() for block in self.blocks))


@dataclass(slots=True)
class View:
    """What a plugin sees: the inventory, and where copies may go.  `notes` is for what it wants changed at the end."""

    inventory: Repository
    partition: Partition
    group: Group
    is_target: Callable[[Site], bool]
    registry: Registry
    now: float
    notes: list[Note] = field(default_factory=list)

    def targets(self) -> list[Site]:
        """Sites that may get copies, by name."""
        return [site for _, site in sorted(self.inventory.sites.items()) if self.is_target(site)]


class Plugin(Protocol):
    """Proposes copies."""

    def __init__(self, config: dict[str, Any]) -> None:
        """Raises ConfigurationError."""

    def proposals(self, view: View) -> list[Proposal]:
        """What it wants, the most important first."""
