"""TFKVStore (30): small values that an account keeps on the chain."""

from __future__ import annotations

from tfchain.devchain.calls import Handler
from tfchain.devchain.context import Context
from tfchain.devchain.dispatch import ModuleFailure
from tfchain.devchain.storage import DefaultMap

LONGEST_KEY = 512
LONGEST_VALUE = 2048

ENTRIES: DefaultMap[tuple[bytes, bytes], bytes] = DefaultMap("TFKVStore", "TFKVStore")


def set_entry(ctx: Context, key: bytes, value: bytes) -> None:
    account = ctx.signer()
    if len(key) > LONGEST_KEY:
        raise ModuleFailure("TFKVStore", "KeyIsTooLarge")
    if len(value) > LONGEST_VALUE:
        raise ModuleFailure("TFKVStore", "ValueIsTooLarge")
    ENTRIES.put(ctx, (account, key), value)
    ctx.deposit("TFKVStore", "EntrySet", (account, key, value))


def delete_entry(ctx: Context, key: bytes) -> None:
    account = ctx.signer()
    if not ENTRIES.has(ctx, (account, key)):
        raise ModuleFailure("TFKVStore", "NoValueStored")
    value = ENTRIES.get(ctx, (account, key))
    ENTRIES.delete(ctx, (account, key))
    ctx.deposit("TFKVStore", "EntryTaken", (account, key, value))


CALLS: dict[str, Handler] = {"set": set_entry, "delete": delete_entry}
