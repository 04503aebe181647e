"""Blocks and what happened in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, slots=True)
class Head:
    number: int
    hash: bytes


@dataclass(frozen=True, slots=True)
class Event:
    """An event as the runtime's metadata describes it.

    `attributes` are by field name; fields without a name are called `0`, `1`, ….  Texts and accounts are bytes.
    `tfchain.grid_events.read` makes a typed object of those that concern the grid.
    """

    pallet: str
    name: str
    attributes: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}))
    extrinsic: int | None = None
    """Index of the extrinsic that caused it; None when the block itself did."""


@dataclass(frozen=True, slots=True)
class FinalisedBlock:
    number: int
    hash: bytes
    events: tuple[Event, ...]
    is_complete: bool = True
    """False when no endpoint keeps the events any more: compare everything with the chain's present state."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """Where an extrinsic was included, and what it caused."""

    block_number: int
    block_hash: bytes
    extrinsic_index: int
    extrinsic_hash: bytes
    events: tuple[Event, ...]

    def event(self, pallet: str, name: str) -> Event | None:
        """The first event of that name."""
        return next((event for event in self.events if (event.pallet, event.name) == (pallet, name)), None)
