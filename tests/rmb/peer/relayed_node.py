"""A node that is reached over relays: a peer with a service behind it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import rmb
from rmb.peer import daemon
from rmb.peer.config import PeerConfig
from tests.rmb.relay.grid import PEOPLE, RelayProcess
from tests.tfchain.devchain.process import ChainProcess


@contextlib.asynccontextmanager
async def node(
    folder: Path, redis: str, chain: ChainProcess, hub: RelayProcess, asked: list[str], *, relay_url: str = ""
) -> AsyncIterator[None]:
    """Twin 1: a peer and a service that adds for twin 2.

    With `relay_url` the peer uses that address of the relay and registers it on the chain.
    """
    PEOPLE[0].save(folder / "key")
    config = PeerConfig.model_validate(
        {
            "redis": {"url": redis},
            "identity": {"key_file": folder / "key"},
            "chain": {"urls": [chain.url]},
            "relays": {"urls": [relay_url or hub.url], "register_twin": bool(relay_url)},
        }
    )
    router = rmb.Router(redis, not_found="function is not found")

    async def add(request: rmb.Request) -> Any:
        asked.append(request.uid)
        assert request.source == 2
        return sum(request.json())

    async def refuse(request: rmb.Request) -> Any:
        raise rmb.HandlerError("not today")

    router.subroute("zos").handle("add", add)
    router.subroute("zos").handle("refuse", refuse)
    tasks = [asyncio.create_task(daemon.run(config)), asyncio.create_task(router.serve())]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
