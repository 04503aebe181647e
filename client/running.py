"""Do something with a grid on behalf of a command."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from client import profile
from client.errors import CheckFailed, ClientError
from client.grid_client import GridClient
from client.namespace import enter
from client.terminal import fail
from rmb import connect
from rmb.errors import RmbError
from tfchain import Chain, ChainError, ChainUnavailable
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
                bus = await connect(chosen.bus.redis)
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
