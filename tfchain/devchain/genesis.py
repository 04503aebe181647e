"""The first block of a development chain, from a declarative JSON file.

::

    {
      "accounts": {"//Alice": 1152921504606846976, "5Grw…": 10000000, "<64 hex digits>": 5},
      "council": ["//Alice", "//Bob"],
      "author": "//Alice",
      "foundation": "//Eve",
      "sales": "//Ferdie",
      "tft_price": 50,
      "billing_frequency": 10,
      "salt": "any text"
    }

Every key has a default, so `{}` is a whole file: the accounts //Alice … //Ferdie with 2^60 units each, as the existing
development genesis has them.  An account is an SS58 address, 64 hex digits, or the name of a development account
(`//Alice`, sr25519).  Amounts are units, 10^7 to a token.  `salt` makes the genesis hash of two chains differ.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tfchain.codec.address import decode_address
from tfchain.codec.hashing import blake2_256
from tfchain.codec.header import Header
from tfchain.devchain.context import BlockInfo, Context
from tfchain.devchain.dispatch import Root
from tfchain.devchain.execution import BLOCK_HASH, next_root
from tfchain.devchain.interface import Interface
from tfchain.devchain.pallets import council, funds, tft_price
from tfchain.devchain.pallets.contracts.store import BILLING_FREQUENCY
from tfchain.devchain.pallets.tfgrid import store
from tfchain.devchain.records import FarmingPolicy, Policy, PricingPolicy
from tfchain.devchain.state import Changes, Layer, Snapshot
from tfchain.devchain.store import StoredBlock
from tfchain.secret import parse, sr25519_pair

DEFAULT_UNITS = 1 << 60
DEFAULT_ACCOUNTS = {
    name: DEFAULT_UNITS
    for name in (
        "//Alice", "//Bob", "//Charlie", "//Dave", "//Eve", "//Ferdie", "//Alice//stash", "//Bob//stash",
    )
}  # fmt: skip
_NULL_HASH = bytes(32)


class GenesisError(ValueError):
    """A genesis file that cannot be used; the text names key and value."""


class Genesis(BaseModel):
    """What the first block holds."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    accounts: dict[str, int] = Field(default=DEFAULT_ACCOUNTS)
    council: tuple[str, ...] = ("//Alice", "//Bob")
    author: str = "//Alice"
    foundation: str = "//Eve"
    sales: str = "//Ferdie"
    tft_price: int = Field(default=50, ge=1, le=2**32 - 1)
    """Thousandths of a US dollar."""
    billing_frequency: int = Field(default=10, ge=1, le=2**32 - 1)
    """Blocks."""
    salt: str = ""


def load(path: Path | None) -> Genesis:
    """Read a genesis file; None gives the default.  Raises GenesisError."""
    if path is None:
        return Genesis()
    try:
        return Genesis.model_validate(json.loads(path.read_bytes()))
    except (OSError, ValueError, ValidationError) as problem:
        raise GenesisError(f"genesis file {path}: {problem}") from problem


def account_of(text: str) -> bytes:
    """Public key of an account as a genesis file names it.  Raises GenesisError."""
    try:
        if text.startswith("//"):
            public, _ = sr25519_pair(parse(text))
            return public
        if len(text) == 64:
            return bytes.fromhex(text)
        return decode_address(text)
    except ValueError as problem:
        raise GenesisError(f"account {text!r}: {problem}") from problem


def make(interface: Interface, genesis: Genesis, time_ms: int) -> tuple[StoredBlock, Changes]:
    """The genesis block and the state that it begins with."""
    layer = Layer(Snapshot({}))
    ctx = Context(interface, BlockInfo(0, time_ms, account_of(genesis.author)), layer, Root(), {})
    _fill(ctx, genesis, time_ms // 1000)
    changes = dict(layer.changes)
    root = next_root(_NULL_HASH, Snapshot({}), changes)
    extrinsics_root = blake2_256(b"genesis " + genesis.salt.encode())
    header = Header(_NULL_HASH, 0, root, extrinsics_root, ())
    return StoredBlock(header, header.hash, ()), changes


def _fill(ctx: Context, genesis: Genesis, now: int) -> None:
    for text, amount in genesis.accounts.items():
        funds.endow(ctx, account_of(text), amount)
    council.MEMBERS.put(ctx, sorted(account_of(text) for text in genesis.council))
    tft_price.PRICE.put(ctx, genesis.tft_price)
    tft_price.AVERAGE_PRICE.put(ctx, genesis.tft_price)
    tft_price.LOWEST_PRICE.put(ctx, 10)
    tft_price.HIGHEST_PRICE.put(ctx, 1000)
    BILLING_FREQUENCY.put(ctx, genesis.billing_frequency)
    store.CONNECTION_PRICE.put(ctx, 80)
    name = b"threefold_default_pricing_policy"
    store.PRICING.put(
        ctx,
        1,
        PricingPolicy(
            1,
            1,
            name,
            _gigabytes(50_000),
            _gigabytes(100_000),
            _gigabytes(15_000),
            _gigabytes(40_000),
            _gigabytes(2_500),
            _gigabytes(5_000),
            account_of(genesis.foundation),
            account_of(genesis.sales),
            50,
        ),
    )
    store.PRICING_BY_NAME.put(ctx, name, 1)
    store.PRICING_ID.put(ctx, 1)
    farming = (
        (1, b"threefold_default_diy_farming_policy", 2400, 1000, 30, 5, "Diy"),
        (2, b"threefold_default_certified_farming_policy", 3000, 1250, 38, 6, "Certified"),
    )
    for number, title, cu, su, nu, ipv4, certification in farming:
        policy = FarmingPolicy(
            1, number, title, cu, su, nu, ipv4, 95, now, 0, False, True, certification, "NotCertified"
        )
        store.FARMING.put(ctx, number, policy)
    store.FARMING_ID.put(ctx, len(farming))
    BLOCK_HASH.delete(ctx, 0)


def _gigabytes(value: int) -> Policy:
    return Policy(value, "Gigabytes")


__all__ = ["Genesis", "GenesisError", "account_of", "load", "make"]
