"""Do something with a grid on behalf of a command."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable
from typing import TypeVar

from client import profile
from client.errors import CheckFailed, ClientError
from client.grid_client import ClosableBus, GridClient
from client.namespace import enter
from client.terminal import fail
from gridtypes import TwinId
from rmb import connect
from rmb.direct import DirectPeer
from rmb.errors import RmbError
from rmb.gen2.encryption import EncryptionKey
from rmb.gen2.session import Session
from tfchain import Chain, ChainError, ChainUnavailable, key_file
from tfchain.keys import Identity

T = TypeVar("T")


def on_grid(profile_name: str | None, work: Callable[[GridClient], Awaitable[T]]) -> T:
    """Do `work` with a client of the profile's grid; what goes wrong ends the program with one line."""
    try:
        chosen = profile.load(profile_name)
        key = Identity.load(chosen.user.key, chosen.user.key_type)
        enter(chosen.network.namespace)

        async def session() -> T:
            chain = Chain(chosen.chain.urls)
            try:
                bus = await _bus(chosen, chain, key)
            except BaseException:
                await chain.close()
                raise
            async with GridClient(chain, bus, chosen.user.twin, key) as grid:
                return await work(grid)

        return asyncio.run(session())
    except CheckFailed as problem:
        fail(f"not deployed, nothing was paid: {problem}")
    except (ClientError, RmbError, ChainError, ChainUnavailable, OSError, ValueError) as problem:
        fail(problem)
    except KeyboardInterrupt:
        fail("interrupted")


async def _bus(chosen: profile.Profile, chain: Chain, key: Identity) -> ClosableBus:
    """By the local peer, or by a connection of our own to the relays.  Raises RmbError."""
    if not chosen.bus.relays:
        return await connect(chosen.bus.redis)
    session = Session(chosen.user.twin, f"zos{secrets.token_hex(4)}")
    secret = key_file.read(chosen.user.key).removeprefix(f"{key.type}:")
    encryption = EncryptionKey.from_secret(secret)
    card = await chain.twin(TwinId(chosen.user.twin))
    # Others encrypt for the key that the chain shows, and read what comes from a twin without one as it is.
    published = card is not None and card.pk == encryption.public_key
    peer = DirectPeer(chosen.bus.relays, chain, key, session, encryption if published else None)
    peer.start()
    return peer
