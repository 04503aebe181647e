"""Entities: persons and firms that stand behind twins."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from tfchain.models.values import Struct, text


@dataclass(frozen=True, slots=True)
class Entity:
    id: int
    name: str
    account_id: bytes
    """32 bytes: the public key whose signatures are the entity's."""
    country: str
    city: str

    @classmethod
    def from_value(cls, value: Struct) -> Self:
        return cls(
            value["id"],
            text(value["name"]),
            value["account_id"],
            text(value["country"]),
            text(value["city"]),
        )
