"""What the council votes on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from tfchain.models.values import Struct


@dataclass(frozen=True, slots=True)
class Vote:
    """Where the vote on a proposal stands."""

    index: int
    threshold: int
    """Members that have to agree."""
    ayes: tuple[bytes, ...]
    nays: tuple[bytes, ...]
    end: int
    """Block after which who did not vote counts against it."""

    @classmethod
    def from_value(cls, value: Struct) -> Self:
        return cls(
            value["index"], value["threshold"], tuple(value["ayes"]), tuple(value["nays"]), value["end"]
        )
