"""The state of a chain as a genesis file: a new chain that begins where the old one stands.

What a genesis file can say in words (accounts, prices, twins, farms) it says so; the rest follows as raw storage, so
that the new chain's state equals the old one's but for what belongs to a block (number, hashes, time, events).
"""

from __future__ import annotations

from tfchain.codec.address import encode_address
from tfchain.codec.hashing import twox_128
from tfchain.devchain.genesis import AddressGenesis, FarmGenesis, Genesis, GenesisError, TwinGenesis, make
from tfchain.devchain.interface import Interface
from tfchain.devchain.pallets import council, funds, tft_price
from tfchain.devchain.pallets.contracts.store import BILLING_FREQUENCY
from tfchain.devchain.pallets.tfgrid import store as grid
from tfchain.devchain.state import Reading, Snapshot
from tfchain.devchain.store import Store

OF_A_BLOCK = tuple(
    twox_128(pallet) + twox_128(item)
    for pallet, items in {
        b"System": (b"Number", b"ParentHash", b"BlockHash", b"Events", b"EventCount", b"Digest"),
        b"Timestamp": (b"Now",),
    }.items()
    for item in items
)
"""Prefixes of what is about the newest block and not about the grid."""


def export(store: Store, interface: Interface) -> Genesis:
    """The newest state of a database as a genesis file."""
    values = {key: value for key, value in store.newest_values().items() if not key.startswith(OF_A_BLOCK)}
    kept = Genesis.model_validate_json(store.meta("genesis_file") or "{}")
    plain = _in_words(Reading(Snapshot(values)), values, kept)
    for candidate in (plain, plain.model_copy(update={"twins": (), "farms": (), "terms": ()})):
        try:
            _, begun = make(interface, candidate)
        except GenesisError:
            continue  # a twin or farm that today's checks refuse; it goes as raw storage
        different: dict[str, str | None] = {
            "0x" + key.hex(): "0x" + value.hex() for key, value in values.items() if begun.get(key) != value
        }
        different |= {"0x" + key.hex(): None for key in begun if key not in values}
        return candidate.model_copy(update={"storage": dict(sorted(different.items()))})
    raise GenesisError("the state cannot be written as a genesis file: its accounts or prices are impossible")


def _in_words(state: Reading, values: dict[bytes, bytes], kept: Genesis) -> Genesis:
    accounts = {
        encode_address(key[-32:]): funds.ACCOUNTS.get(state, key[-32:]).data.free
        for key in sorted(values)
        if key.startswith(_ACCOUNTS)
    }
    prices = grid.PRICING.get(state, 1)
    twins = [grid.TWINS.get(state, number) for number in range(1, grid.TWIN_ID.get(state) + 1)]
    farms = [grid.FARMS.get(state, number) for number in range(1, grid.FARM_ID.get(state) + 1)]
    in_order = None not in twins and None not in farms
    return Genesis(
        accounts={name: units for name, units in accounts.items() if units >= funds.EXISTENTIAL_DEPOSIT},
        council=tuple(encode_address(member) for member in council.MEMBERS.get(state)),
        author=kept.author,
        foundation=encode_address(prices.foundation_account) if prices else kept.foundation,
        sales=encode_address(prices.certified_sales_account) if prices else kept.sales,
        tft_price=tft_price.PRICE.get(state) or kept.tft_price,
        billing_frequency=BILLING_FREQUENCY.get(state),
        twins=tuple(
            TwinGenesis(
                account=encode_address(twin.account_id), relay=twin.relay.decode() if twin.relay else None
            )
            for twin in twins
            if twin is not None and in_order
        ),
        farms=tuple(
            FarmGenesis(
                name=farm.name.decode(),
                twin=farm.twin_id,
                dedicated=farm.dedicated_farm,
                public_ips=tuple(
                    AddressGenesis(ip=each.ip.decode(), gateway=each.gateway.decode())
                    for each in farm.public_ips
                ),
            )
            for farm in farms
            if farm is not None and in_order
        ),
        salt=kept.salt,
    )


_ACCOUNTS = twox_128(b"System") + twox_128(b"Account")
