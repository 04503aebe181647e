"""Money, and small values that an account keeps on the chain."""

from __future__ import annotations

import asyncio
import time

from tfchain.activation import activate
from tfchain.codec.address import decode_address
from tfchain.errors import ChainUnavailable
from tfchain.keys import Identity
from tfchain.writes.submitting import Submitting

ENOUGH_UNITS = 10_000
"""Units (10^-7 TFT) above which an account counts as funded."""
FUNDS_TIMEOUT = 20.0
"""Seconds from an activation to the money."""
LOOK_AGAIN = 0.5


class MoneyWrites(Submitting):
    async def transfer(self, key: Identity, to: bytes | str, units: int) -> None:
        """Send units (10^-7 TFT) to a public key or an SS58 address; the sender's account lives on."""
        await self.submit(key, "Balances", "transfer_keep_alive", {"dest": _account(to), "value": units})

    async def transfer_allow_death(self, key: Identity, to: bytes | str, units: int) -> None:
        """Send units; an account left with less than the existential deposit is removed, its nonce begins anew."""
        await self.submit(key, "Balances", "transfer_allow_death", {"dest": _account(to), "value": units})

    async def transfer_all(self, key: Identity, to: bytes | str, *, keep_alive: bool) -> None:
        """Send all that can be spent, but for the existential deposit when the account is to live on."""
        arguments = {"dest": _account(to), "keep_alive": keep_alive}
        await self.submit(key, "Balances", "transfer_all", arguments)

    async def burn(self, key: Identity, units: int, message: str) -> None:
        """Destroy units of one's own."""
        await self.submit(key, "BurningModule", "burn_tft", {"amount": units, "message": message.encode()})

    async def ensure_account(self, key: Identity, activation_url: str) -> None:
        """Have an account funded that does not exist or cannot pay a fee; returns when the money is there.

        Raises `ChainUnavailable` when the service cannot be reached or no money comes, `ChainError` when it refuses.
        """
        if await self.balance(key.public_key) > ENOUGH_UNITS:
            return
        await activate(activation_url, key.address)
        deadline = time.monotonic() + FUNDS_TIMEOUT
        while await self.balance(key.public_key) <= ENOUGH_UNITS:
            if time.monotonic() > deadline:
                raise ChainUnavailable(
                    f"activation service {activation_url} took {key.address}, but no money came within "
                    f"{FUNDS_TIMEOUT:g} s"
                )
            await asyncio.sleep(LOOK_AGAIN)

    async def set_value(self, key: Identity, name: bytes, value: bytes) -> None:
        """Keep a value under a name of the account: 512 bytes of name and 2048 of value at most."""
        await self.submit(key, "TFKVStore", "set", {"key": name, "value": value})

    async def delete_value(self, key: Identity, name: bytes) -> None:
        """Forget a value; raises `DispatchError` NoValueStored when there is none."""
        await self.submit(key, "TFKVStore", "delete", {"key": name})


def _account(to: bytes | str) -> dict[str, bytes]:
    return {"Id": decode_address(to) if isinstance(to, str) else to}
