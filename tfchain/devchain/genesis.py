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
      "terms": ["5Grw…"],
      "twins": [{"account": "//Alice", "relay": null}],
      "farms": [{"name": "devfarm", "twin": 1, "dedicated": false,
                 "public_ips": [{"ip": "185.206.122.33/24", "gateway": "185.206.122.1"}]}],
      "salt": "any text",
      "storage": {"0x<key>": "0x<value>"}
    }

Every key has a default, so `{}` is a whole file: the accounts //Alice … //Ferdie with 2^60 units each, as the existing
development genesis has them.  An account is an SS58 address, 64 hex digits, or the name of a development account
(`//Alice`, sr25519).  Amounts are units, 10^7 to a token.  `terms` are accounts that accepted the terms; an account in
`twins` has accepted them too.  Twins and farms get the ids 1, 2, … in the order of the file, and the checks of the
calls that make them apply.  `salt` makes the genesis hash of two chains differ; the same file gives the same hash.
`storage` is written over all of it as it is (null deletes): `tfchain-dev export` puts there what has no words of its
own.
"""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tfchain.codec.address import decode_address
from tfchain.codec.hashing import blake2_256
from tfchain.codec.header import Header
from tfchain.devchain.context import BlockInfo, Context
from tfchain.devchain.dispatch import DispatchFailure, Root, Signed
from tfchain.devchain.execution import next_root
from tfchain.devchain.interface import Interface
from tfchain.devchain.pallets import council, funds, tft_price
from tfchain.devchain.pallets.contracts.store import BILLING_FREQUENCY
from tfchain.devchain.pallets.tfgrid import farms, store, twins
from tfchain.devchain.records import FarmingPolicy, GatewayAddress, Policy, PricingPolicy
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
MOST_UNITS = 1 << 100
"""For one account; all together stay far below what the chain can count."""
_NULL_HASH = bytes(32)


class GenesisError(ValueError):
    """A genesis file that cannot be used; the text names key and value."""


class TwinGenesis(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    account: str
    relay: str | None = None


class AddressGenesis(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    ip: str
    gateway: str


class FarmGenesis(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    twin: int = Field(ge=1)
    dedicated: bool = False
    public_ips: tuple[AddressGenesis, ...] = ()


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
    terms: tuple[str, ...] = ()
    twins: tuple[TwinGenesis, ...] = ()
    farms: tuple[FarmGenesis, ...] = ()
    salt: str = ""
    storage: dict[str, str | None] = {}
    """Raw keys and values, hexadecimal with 0x."""

    @property
    def digest(self) -> str:
        """Tells two genesis files apart, however they are written."""
        return blake2_256(self.model_dump_json(exclude_defaults=True).encode()).hex()


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


def make(interface: Interface, genesis: Genesis) -> tuple[StoredBlock, Changes]:
    """The genesis block and the state that it begins with.

    Raises GenesisError for a twin or a farm that the chain's own checks refuse.
    """
    layer = Layer(Snapshot({}))
    ctx = Context(interface, BlockInfo(0, 0, account_of(genesis.author)), layer, Root(), {})
    _fund(ctx, genesis)
    _set_prices(ctx, genesis)
    _set_farming(ctx)
    try:
        _settle(ctx, genesis)
    except DispatchFailure as failure:
        raise GenesisError(f"genesis: {failure}; the chain's rules for twins and farms apply") from failure
    changes = dict(layer.changes)
    changes |= {_raw(key): None if value is None else _raw(value) for key, value in genesis.storage.items()}
    changes = {key: value for key, value in changes.items() if value is not None}
    root = next_root(_NULL_HASH, Snapshot({}), changes)
    extrinsics_root = blake2_256(b"genesis " + genesis.salt.encode())
    header = Header(_NULL_HASH, 0, root, extrinsics_root, ())
    return StoredBlock(header, header.hash, ()), changes


def _raw(text: str) -> bytes:
    try:
        return bytes.fromhex(text.removeprefix("0x"))
    except ValueError:
        raise GenesisError(f"storage: {text!r:.80} is no hexadecimal text") from None


def _fund(ctx: Context, genesis: Genesis) -> None:
    for text, amount in genesis.accounts.items():
        if not funds.EXISTENTIAL_DEPOSIT <= amount <= MOST_UNITS:
            raise GenesisError(
                f"account {text!r}: {amount} units; {funds.EXISTENTIAL_DEPOSIT} to 2^100 can be given"
            )
        funds.endow(ctx, account_of(text), amount)
    council.MEMBERS.put(ctx, sorted(account_of(text) for text in genesis.council))


def _set_prices(ctx: Context, genesis: Genesis) -> None:
    tft_price.PRICE.put(ctx, genesis.tft_price)
    tft_price.AVERAGE_PRICE.put(ctx, genesis.tft_price)
    tft_price.LOWEST_PRICE.put(ctx, 10)
    tft_price.HIGHEST_PRICE.put(ctx, 1000)
    BILLING_FREQUENCY.put(ctx, genesis.billing_frequency)
    store.CONNECTION_PRICE.put(ctx, 80)
    name = b"threefold_default_pricing_policy"
    foundation, sales = account_of(genesis.foundation), account_of(genesis.sales)
    su, cu, nu, ipu = _hourly(50_000), _hourly(100_000), _hourly(15_000), _hourly(40_000)
    policy = PricingPolicy(1, 1, name, su, cu, nu, ipu, _hourly(2_500), _hourly(5_000), foundation, sales, 50)
    store.PRICING.put(ctx, 1, policy)
    store.PRICING_BY_NAME.put(ctx, name, 1)
    store.PRICING_ID.put(ctx, 1)


def _hourly(value: int) -> Policy:
    return Policy(value, "Gigabytes")


def _set_farming(ctx: Context) -> None:
    rows = (
        (b"threefold_default_diy_farming_policy", 2400, 1000, 30, 5, "Diy"),
        (b"threefold_default_certified_farming_policy", 3000, 1250, 38, 6, "Certified"),
    )
    for number, (title, cu, su, nu, ipv4, certification) in enumerate(rows, 1):
        policy = FarmingPolicy(
            1, number, title, cu, su, nu, ipv4, 95, 0, 0, False, True, certification, "NotCertified"
        )
        store.FARMING.put(ctx, number, policy)
    store.FARMING_ID.put(ctx, len(rows))


def _settle(ctx: Context, genesis: Genesis) -> None:
    """Terms, twins and farms, made by the calls that make them later."""
    for text in dict.fromkeys((*genesis.terms, *(twin.account for twin in genesis.twins))):
        with ctx.acting_as(Signed(account_of(text))):
            twins.user_accept_tc(ctx, b"https://library.threefold.me/info/legal/", b"genesis")
    for twin in genesis.twins:
        with ctx.acting_as(Signed(account_of(twin.account))):
            twins.create_twin(ctx, None if twin.relay is None else twin.relay.encode(), None)
    for farm in genesis.farms:
        if not 1 <= farm.twin <= len(genesis.twins):
            raise GenesisError(f"farm {farm.name!r}: there is no twin {farm.twin}")
        addresses = [GatewayAddress(each.ip.encode(), each.gateway.encode()) for each in farm.public_ips]
        with ctx.acting_as(Signed(account_of(genesis.twins[farm.twin - 1].account))):
            farms.create_farm(ctx, farm.name.encode(), addresses)
        if farm.dedicated:
            farms.set_farm_dedicated(ctx, store.FARM_ID.get(ctx), True)


__all__ = [
    "AddressGenesis",
    "FarmGenesis",
    "Genesis",
    "GenesisError",
    "TwinGenesis",
    "account_of",
    "load",
    "make",
]
