"""Terms and twins."""

from __future__ import annotations

from dataclasses import replace

from tfchain.devchain.calls import Handler
from tfchain.devchain.context import Context
from tfchain.devchain.pallets.tfgrid import validation
from tfchain.devchain.pallets.tfgrid.store import (
    BOUNDED_ACCOUNT,
    PALLET,
    TERMS,
    TWIN_BY_ACCOUNT,
    TWIN_ID,
    TWINS,
    caller_twin,
    error,
)
from tfchain.devchain.records import TermsAndConditions, Twin
from tfchain.devchain.storage import next_id


def user_accept_tc(ctx: Context, document_link: bytes, document_hash: bytes) -> None:
    """Store that the account accepted a document; which one is nobody's check."""
    account = ctx.signer()
    validation.document(document_link, document_hash)
    accepted = TermsAndConditions(account, ctx.block.time, document_link, document_hash)
    TERMS.put(ctx, account, [*(TERMS.get(ctx, account) or []), accepted])


def create_twin(ctx: Context, relay: bytes | None, pk: bytes | None) -> None:
    account = ctx.signer()
    if TERMS.get(ctx, account) is None:
        raise error("UserDidNotSignTermsAndConditions")
    if TWIN_BY_ACCOUNT.get(ctx, account) is not None:
        raise error("TwinWithPubkeyExists")
    validation.relay(relay)
    store_twin(ctx, account, relay, pk)


def store_twin(ctx: Context, account: bytes, relay: bytes | None, pk: bytes | None) -> int:
    """Give the account a twin; one for each account, for ever."""
    twin = Twin(next_id(ctx, TWIN_ID), account, relay, [], pk)
    TWINS.put(ctx, twin.id, twin)
    TWIN_BY_ACCOUNT.put(ctx, account, twin.id)
    ctx.deposit(PALLET, "TwinStored", twin)
    return twin.id


def update_twin(ctx: Context, relay: bytes | None, pk: bytes | None) -> None:
    """Replace both fields; None clears."""
    twin = TWINS.get(ctx, caller_twin(ctx))
    if twin is None:
        raise error("TwinNotExists")
    if twin.account_id != ctx.signer():
        raise error("UnauthorizedToUpdateTwin")
    validation.relay(relay)
    changed = replace(twin, relay=relay, pk=pk)
    TWINS.put(ctx, twin.id, changed)
    ctx.deposit(PALLET, "TwinUpdated", changed)


def bond_twin_account(ctx: Context, twin_id: int) -> None:
    """Make the caller the account whose funds count for the twin's discounts."""
    account = ctx.signer()
    twin = TWINS.get(ctx, twin_id)
    if twin is None:
        raise error("TwinNotExists")
    if twin.account_id == account:
        raise error("TwinCannotBoundToItself")
    BOUNDED_ACCOUNT.put(ctx, twin_id, account)
    ctx.deposit(PALLET, "TwinAccountBounded", (twin_id, account))


CALLS: dict[str, Handler] = {
    "user_accept_tc": user_accept_tc,
    "create_twin": create_twin,
    "update_twin": update_twin,
    "bond_twin_account": bond_twin_account,
}
