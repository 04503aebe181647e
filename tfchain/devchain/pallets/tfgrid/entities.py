"""Entities: people and companies that vouch for twins."""

from __future__ import annotations

from dataclasses import replace

from tfchain.devchain.calls import Handler
from tfchain.devchain.context import Context
from tfchain.devchain.pallets.tfgrid import validation
from tfchain.devchain.pallets.tfgrid.store import (
    ENTITIES,
    ENTITY_BY_ACCOUNT,
    ENTITY_BY_NAME,
    ENTITY_ID,
    PALLET,
    TWINS,
    error,
)
from tfchain.devchain.records import Entity, EntityProof, Twin
from tfchain.devchain.signatures import either_verifies
from tfchain.devchain.storage import next_id

ENTITY_VERSION = 1
SIGNATURE_DIGITS = 128


def create_entity(
    ctx: Context, target: bytes, name: bytes, country: bytes, city: bytes, signature: bytes
) -> None:
    """Anybody may bring an entity that its account signed: hex over name, country and city."""
    ctx.signer()
    if ENTITY_BY_NAME.has(ctx, name):
        raise error("EntityWithNameExists")
    if ENTITY_BY_ACCOUNT.get(ctx, target) is not None:
        raise error("EntityWithPubkeyExists")
    if len(signature) != SIGNATURE_DIGITS:
        raise error("SignatureLengthIsIncorrect")
    if not either_verifies(target, name + country + city, signature):
        raise error("EntitySignatureDoesNotMatch")
    validation.country_and_city(country, city)
    made = Entity(ENTITY_VERSION, next_id(ctx, ENTITY_ID), name, target, country, city)
    ENTITIES.put(ctx, made.id, made)
    ENTITY_BY_NAME.put(ctx, name, made.id)
    ENTITY_BY_ACCOUNT.put(ctx, target, made.id)
    ctx.deposit(PALLET, "EntityStored", made)


def update_entity(ctx: Context, name: bytes, country: bytes, city: bytes) -> None:
    account = ctx.signer()
    if ENTITY_BY_NAME.has(ctx, name):
        raise error("EntityWithNameExists")
    before = _own(ctx, account, "CannotUpdateEntity")
    validation.country_and_city(country, city)
    ENTITY_BY_NAME.delete(ctx, before.name)
    changed = replace(before, name=name, country=country, city=city)
    ENTITIES.put(ctx, changed.id, changed)
    ENTITY_BY_NAME.put(ctx, name, changed.id)
    ctx.deposit(PALLET, "EntityUpdated", changed)


def delete_entity(ctx: Context) -> None:
    account = ctx.signer()
    leaving = _own(ctx, account, "CannotDeleteEntity")
    ENTITIES.delete(ctx, leaving.id)
    ENTITY_BY_NAME.delete(ctx, leaving.name)
    ENTITY_BY_ACCOUNT.delete(ctx, account)
    ctx.deposit(PALLET, "EntityDeleted", leaving.id)


def add_twin_entity(ctx: Context, twin_id: int, entity_id: int, signature: bytes) -> None:
    """Put an entity's word into a twin: hex over both ids, four bytes big-endian each, entity first."""
    account = ctx.signer()
    entity = ENTITIES.get(ctx, entity_id)
    if entity is None:
        raise error("EntityNotExists")
    twin = _own_twin(ctx, twin_id, account)
    if any(proof.signature == signature for proof in twin.entities):
        raise error("EntityWithSignatureAlreadyExists")
    said = entity_id.to_bytes(4, "big") + twin_id.to_bytes(4, "big")
    if not either_verifies(entity.account_id, said, signature):
        raise error("EntitySignatureDoesNotMatch")
    TWINS.put(ctx, twin_id, replace(twin, entities=[*twin.entities, EntityProof(entity_id, signature)]))
    ctx.deposit(PALLET, "TwinEntityStored", (twin_id, entity_id, signature))


def delete_twin_entity(ctx: Context, twin_id: int, entity_id: int) -> None:
    twin = _own_twin(ctx, twin_id, ctx.signer())
    kept = [proof for proof in twin.entities if proof.entity_id != entity_id]
    if len(kept) == len(twin.entities):
        raise error("EntityNotExists")
    TWINS.put(ctx, twin_id, replace(twin, entities=kept))
    ctx.deposit(PALLET, "TwinEntityRemoved", (twin_id, entity_id))


def _own(ctx: Context, account: bytes, refusal: str) -> Entity:
    entity_id = ENTITY_BY_ACCOUNT.get(ctx, account)
    entity = None if entity_id is None else ENTITIES.get(ctx, entity_id)
    if entity is None:
        raise error("EntityNotExists")
    if entity.account_id != account:
        raise error(refusal)
    return entity


def _own_twin(ctx: Context, twin_id: int, account: bytes) -> Twin:
    twin = TWINS.get(ctx, twin_id)
    if twin is None:
        raise error("TwinNotExists")
    if twin.account_id != account:
        raise error("UnauthorizedToUpdateTwin")
    return twin


CALLS: dict[str, Handler] = {
    "create_entity": create_entity,
    "update_entity": update_entity,
    "delete_entity": delete_entity,
    "add_twin_entity": add_twin_entity,
    "delete_twin_entity": delete_twin_entity,
}
