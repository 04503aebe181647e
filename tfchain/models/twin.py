"""Twins: who somebody is on the grid."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from gridtypes.ids import TwinId
from tfchain.codec.address import encode_address
from tfchain.models.values import Struct, optional_text, text


@dataclass(frozen=True, slots=True)
class EntityProof:
    entity_id: int
    signature: str
    """128 hex digits."""


@dataclass(frozen=True, slots=True)
class Twin:
    id: TwinId
    account_id: bytes
    """32 bytes: the public key, ed25519 or sr25519; the chain does not say which."""
    relay: str | None
    """Host names joined by `_`; order has no meaning."""
    pk: bytes | None
    """Key for encryption on the bus."""
    entities: tuple[EntityProof, ...] = ()

    @property
    def address(self) -> str:
        """SS58 text of the account."""
        return encode_address(self.account_id)

    @property
    def relays(self) -> frozenset[str]:
        return frozenset(filter(None, (self.relay or "").split("_")))

    @classmethod
    def from_value(cls, value: Struct) -> Self:
        return cls(
            id=TwinId(value["id"]),
            account_id=value["account_id"],
            relay=optional_text(value["relay"]),
            pk=value["pk"],
            entities=tuple(EntityProof(e["entity_id"], text(e["signature"])) for e in value["entities"]),
        )
