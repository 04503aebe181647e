"""A peer of a twin that is reached over a relay, for local programs of any kind."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

from rmb.peer import daemon
from rmb.peer.config import PeerConfig
from rmb.redis_link import RedisAddress, RedisLink
from tests.rmb.relay.grid import PEOPLE, RelayProcess
from tests.tfchain.devchain.process import ChainProcess


@contextlib.asynccontextmanager
async def local_peer(
    folder: Path,
    twin: int,
    redis: str,
    chain: ChainProcess,
    hub: RelayProcess,
    *generation2: str,
) -> AsyncIterator[RedisLink]:
    """A peer of a twin; yields a link to the Redis of its local programs."""
    PEOPLE[twin - 1].save(folder / f"key{twin}")
    config = PeerConfig.model_validate(
        {
            "redis": {"url": redis},
            "identity": {"key_file": folder / f"key{twin}"},
            "chain": {"urls": [chain.url]},
            "relays": {"urls": [hub.url], "register_twin": False},
            "services": {"generation2": generation2},
        }
    )
    running = asyncio.create_task(daemon.run(config))
    link = RedisLink(RedisAddress.parse(redis))
    try:
        yield link
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await link.close()
