"""Building a block: pure, from the parent, the state and the extrinsics to a header and its changes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tfchain.codec.extrinsic import Extrinsic
from tfchain.codec.hashing import blake2_256
from tfchain.codec.header import Header, pre_runtime
from tfchain.devchain.calls import Table, dispatch
from tfchain.devchain.context import GRACE_BLOCKS, BlockInfo, Context
from tfchain.devchain.dispatch import DispatchFailure, Pays, Root, Signed
from tfchain.devchain.fees import fee_of
from tfchain.devchain.interface import Call, Interface
from tfchain.devchain.pallets import funds
from tfchain.devchain.pallets.contracts import billing
from tfchain.devchain.pallets.contracts.store import contract
from tfchain.devchain.state import Changes, Layer, ReadableState
from tfchain.devchain.storage import DefaultMap, DefaultValue

SLOT_MS = 6000
KEPT_HASHES = 2400
"""Block hashes that the state keeps (constant `BlockHashCount`)."""

NUMBER: DefaultValue[int] = DefaultValue("System", "Number")
PARENT_HASH: DefaultValue[bytes] = DefaultValue("System", "ParentHash")
BLOCK_HASH: DefaultMap[int, bytes] = DefaultMap("System", "BlockHash")
EVENTS: DefaultValue[list[Any]] = DefaultValue("System", "Events")
EVENT_COUNT: DefaultValue[int] = DefaultValue("System", "EventCount")
DIGEST: DefaultValue[Any] = DefaultValue("System", "Digest")
NOW: DefaultValue[int] = DefaultValue("Timestamp", "Now")

_NORMAL = {"weight": {"ref_time": 100_000_000, "proof_size": 0}, "class": "Normal", "pays_fee": "Yes"}
_FREE = {**_NORMAL, "pays_fee": "No"}
_MANDATORY = {**_NORMAL, "class": "Mandatory"}


@dataclass(frozen=True, slots=True)
class Transaction:
    """A validated extrinsic with its decoded call."""

    encoded: bytes
    hash: bytes
    account: bytes
    nonce: int
    tip: int
    call: Call


@dataclass(frozen=True, slots=True)
class BuiltBlock:
    header: Header
    hash: bytes
    body: tuple[bytes, ...]
    changes: Changes
    skipped: tuple[Transaction, ...]
    """Transactions that could not pay or came too late; they are not in the block."""
    results: tuple[Any, ...]
    """What each privileged call came to: None, or its `DispatchError`."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What building a block needs to know beside the state."""

    interface: Interface
    table: Table
    author: bytes
    bills: bool
    """Bill the contracts whose turn it is in every block."""
    grace_blocks: int = GRACE_BLOCKS
    """Length of a contract's grace."""


def build_block(
    rules: Rules,
    parent: Header,
    state: ReadableState,
    time_ms: int,
    transactions: Sequence[Transaction],
    *,
    privileged: Sequence[Call] = (),
    writes: Changes | None = None,
    bill: Sequence[int] = (),
) -> BuiltBlock:
    """Make the block after `parent`.

    `privileged` calls run with root rights after the transactions, `writes` go into the state as they are before
    them, the contracts `bill` are billed out of turn; all three serve the control methods.
    """
    block = BlockInfo(parent.number + 1, time_ms, rules.author, rules.grace_blocks)
    layer = Layer(state)
    layer.changes.update(writes or {})
    ctx = Context(rules.interface, block, layer, Root(), rules.table)
    logs = (pre_runtime(time_ms // SLOT_MS),)
    _open_block(ctx, parent, logs)
    records: list[Any] = []
    timestamp = rules.interface.encode_call("Timestamp", "set", {"now": time_ms})
    body = [Extrinsic(timestamp).encode()]
    ctx.deposit("System", "ExtrinsicSuccess", {"dispatch_info": _MANDATORY})
    _flush(ctx, records, {"ApplyExtrinsic": 0})
    skipped = []
    for transaction in transactions:
        if not _apply(ctx, transaction):
            skipped.append(transaction)
            continue
        _flush(ctx, records, {"ApplyExtrinsic": len(body)})
        body.append(transaction.encoded)
    results = tuple(_apply_privileged(ctx, call) for call in privileged)
    _bill(ctx, [*bill, *(billing.due_in_block(ctx) if rules.bills else ())])
    _flush(ctx, records, "Finalization")
    EVENTS.put(ctx, records)
    EVENT_COUNT.put(ctx, len(records))
    changes = {key: value for key, value in layer.changes.items() if value != state.get(key)}
    header = Header(
        parent.hash, block.number, next_root(parent.state_root, state, changes), _body_root(body), logs
    )
    return BuiltBlock(header, header.hash, tuple(body), changes, tuple(skipped), results)


def next_root(before: bytes, state: ReadableState, changes: Changes) -> bytes:
    """The state root after changes: the sum of the hashes of all entries, so it depends on the state alone."""
    total = int.from_bytes(before, "little")
    for key, value in changes.items():
        total += _entry_hash(key, value) - _entry_hash(key, state.get(key))
    return (total % (1 << 256)).to_bytes(32, "little")


def _entry_hash(key: bytes, value: bytes | None) -> int:
    if value is None:
        return 0
    return int.from_bytes(blake2_256(len(key).to_bytes(4, "little") + key + value), "little")


def _body_root(body: Iterable[bytes]) -> bytes:
    return blake2_256(b"".join(map(blake2_256, body)))


def _open_block(ctx: Context, parent: Header, logs: tuple[bytes, ...]) -> None:
    number = ctx.block.number
    NUMBER.put(ctx, number)
    PARENT_HASH.put(ctx, parent.hash)
    BLOCK_HASH.put(ctx, parent.number, parent.hash)
    if number > KEPT_HASHES:
        BLOCK_HASH.delete(ctx, number - KEPT_HASHES - 1)
    NOW.put(ctx, ctx.block.time_ms)
    slot = (ctx.block.time_ms // SLOT_MS).to_bytes(8, "little")
    DIGEST.put(ctx, {"logs": [{"PreRuntime": (b"aura", slot)}]})


def _flush(ctx: Context, records: list[Any], phase: Any) -> None:
    """Turn the deposited events into records of a phase."""
    records += [{"phase": phase, "event": event.value(), "topics": []} for event in ctx.events]
    ctx.events.clear()


def _apply(ctx: Context, transaction: Transaction) -> bool:
    """Carry out one transaction; False when it does not belong into this block."""
    account = transaction.account
    fee = fee_of(len(transaction.encoded), transaction.tip)
    info = funds.ACCOUNTS.get(ctx, account)
    if info.nonce != transaction.nonce or not funds.can_pay_fee(info, fee):
        return False
    funds.ACCOUNTS.put(ctx, account, replace(info, nonce=info.nonce + 1))
    funds.take_fee(ctx, account, fee)
    failure: DispatchFailure | None = None
    pays = Pays.YES
    with ctx.acting_as(Signed(account)):
        try:
            with ctx.transaction():
                pays = dispatch(ctx, transaction.call)
        except DispatchFailure as raised:
            failure = raised
    kept = fee if failure is not None or pays is Pays.YES else transaction.tip
    funds.give(ctx, account, fee - kept)
    funds.give(ctx, ctx.block.author, kept)
    ctx.deposit(
        "TransactionPayment",
        "TransactionFeePaid",
        {"who": account, "actual_fee": kept, "tip": transaction.tip},
    )
    if failure is None:
        info_value = _NORMAL if pays is Pays.YES else _FREE
        ctx.deposit("System", "ExtrinsicSuccess", {"dispatch_info": info_value})
    else:
        error = failure.value(ctx.interface)
        ctx.deposit("System", "ExtrinsicFailed", {"dispatch_error": error, "dispatch_info": _NORMAL})
    return True


def _apply_privileged(ctx: Context, call: Call) -> Any:
    try:
        with ctx.transaction():
            dispatch(ctx, call)
    except DispatchFailure as failure:
        return failure.value(ctx.interface)
    return None


def _bill(ctx: Context, contracts: Iterable[int]) -> None:
    """What the validators' off-chain workers do on the public networks."""
    for contract_id in contracts:
        try:
            with ctx.transaction():
                billing.bill(ctx, contract(ctx, contract_id))
        except DispatchFailure:
            continue
