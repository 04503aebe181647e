"""Providers of solutions, who get a share of what contracts through them cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from tfchain.models.values import Struct, text


@dataclass(frozen=True, slots=True)
class Provider:
    who: bytes
    """Public key of the account that is paid."""
    take: int
    """Per cent of the bill; all providers of a solution may take 50 together."""

    def to_value(self) -> Struct:
        return {"who": self.who, "take": self.take}


@dataclass(frozen=True, slots=True)
class SolutionProvider:
    id: int
    providers: tuple[Provider, ...]
    description: str
    link: str
    approved: bool
    """By the council; contracts can name it only then."""

    @classmethod
    def from_value(cls, value: Struct) -> Self:
        return cls(
            id=value["solution_provider_id"],
            providers=tuple(Provider(one["who"], one["take"]) for one in value["providers"]),
            description=text(value["description"]),
            link=text(value["link"]),
            approved=value["approved"],
        )
