"""Twins and entities: who somebody is."""

from __future__ import annotations

from gridtypes.ids import TwinId
from tfchain.keys import Identity
from tfchain.reads import TFGRID
from tfchain.writes.submitting import Submitting, optional, stored

TERMS_LINK = "http://zos.tf/terms/v0.1"
TERMS_HASH = "9021d4dee05a661e2cb6838152c67f25"
"""The terms that every node and client accepts today."""


class TwinWrites(Submitting):
    async def accept_terms(self, key: Identity, link: str = TERMS_LINK, hash_text: str = TERMS_HASH) -> None:
        """Accept terms; without any accepted an account cannot have a twin."""
        arguments = {"document_link": link.encode(), "document_hash": hash_text.encode()}
        await self.submit(key, TFGRID, "user_accept_tc", arguments)

    async def create_twin(self, key: Identity, relay: str | None = None, pk: bytes | None = None) -> TwinId:
        """Make a twin for the account; its terms have to be accepted."""
        arguments = {"relay": optional(relay), "pk": pk}
        receipt = await self.submit(key, TFGRID, "create_twin", arguments)
        return TwinId(stored(receipt, TFGRID, "TwinStored")["id"])

    async def update_twin(self, key: Identity, relay: str | None, pk: bytes | None) -> None:
        """Replace relay and key; None clears."""
        await self.submit(key, TFGRID, "update_twin", {"relay": optional(relay), "pk": pk})

    async def bond_twin_account(self, key: Identity, twin: TwinId) -> None:
        """Register the caller as the account that keeps the funds of a twin which is not its own."""
        await self.submit(key, TFGRID, "bond_twin_account", {"twin_id": twin})

    async def create_entity(
        self, key: Identity, target: bytes, name: str, country: str, city: str, signature: bytes
    ) -> int:
        """Make an entity for the account `target`, whose signature over name, country and city is given (64 bytes)."""
        arguments = {
            "target": target,
            "name": name.encode(),
            "country": country.encode(),
            "city": city.encode(),
            "signature": signature.hex().encode(),
        }
        receipt = await self.submit(key, TFGRID, "create_entity", arguments)
        return int(stored(receipt, TFGRID, "EntityStored")["id"])

    async def update_entity(self, key: Identity, name: str, country: str, city: str) -> None:
        """Rename or move the caller's entity."""
        arguments = {"name": name.encode(), "country": country.encode(), "city": city.encode()}
        await self.submit(key, TFGRID, "update_entity", arguments)

    async def delete_entity(self, key: Identity) -> None:
        """Remove the caller's entity."""
        await self.submit(key, TFGRID, "delete_entity", {})

    async def add_twin_entity(self, key: Identity, twin: TwinId, entity: int, signature: bytes) -> None:
        """Say that an entity stands behind the caller's twin; see `twin_entity_payload` for what it signs."""
        arguments = {"twin_id": twin, "entity_id": entity, "signature": signature.hex().encode()}
        await self.submit(key, TFGRID, "add_twin_entity", arguments)

    async def delete_twin_entity(self, key: Identity, twin: TwinId, entity: int) -> None:
        """Take an entity away from the caller's twin."""
        await self.submit(key, TFGRID, "delete_twin_entity", {"twin_id": twin, "entity_id": entity})


def entity_payload(name: str, country: str, city: str) -> bytes:
    """What the account of a new entity signs."""
    return f"{name}{country}{city}".encode()


def twin_entity_payload(twin: TwinId, entity: int) -> bytes:
    """What the account of an entity signs to stand behind a twin."""
    return entity.to_bytes(4, "big") + twin.to_bytes(4, "big")
