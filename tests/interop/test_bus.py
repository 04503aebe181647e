"""The unmodified Go SDK of the message bus, calling a service of ours over our relay and chain."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.interop.building import go, live
from tests.rmb.peer.local_peer import local_peer
from tests.rmb.peer.relayed_node import node
from tests.rmb.redis_server import redis_server
from tests.rmb.relay.grid import RelayProcess, chain_with_twins, relay
from tests.tfchain.devchain.process import ChainProcess

pytestmark = [pytest.mark.timeout(1800), pytest.mark.toolchain]

HOST, PORT = "localhost", 80
"""The Go SDK writes the relay's host into the twin, with a port that the chain refuses: so it has to be the default."""
SEED = "02" * 32


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[ChainProcess]:
    with chain_with_twins(tmp_path) as process:
        yield process


@pytest.fixture
def hub(tmp_path: Path, chain: ChainProcess) -> Iterator[RelayProcess]:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", PORT))
        except OSError as problem:
            pytest.skip(f"port {PORT} of loopback cannot be had: {problem}")
    with relay(tmp_path / "relay", chain, "--domain", HOST, port=PORT) as process:
        yield process


async def test_go_sdk(tmp_path: Path, chain: ChainProcess, hub: RelayProcess) -> None:
    folder = await asyncio.to_thread(go, "go-rmb")

    def restart() -> None:
        hub.kill()
        hub.start()

    asked: list[str] = []
    url = f"ws://{HOST}"
    with redis_server() as redis:
        async with node(tmp_path, redis, chain, hub, asked, relay_url=url):
            found: dict[str, Any] = await asyncio.to_thread(
                live, tmp_path, folder, ("./interop", url, SEED, chain.url), restart
            )
    assert found == {
        "sum": 42,
        "at once": 20,
        "refused": "not today",
        "unknown": "function is not found",
        "nobody": True,
        "restart": None,
        "after the relay was killed": 5,
    }


async def test_go_sdk_over_the_redis_of_a_peer(tmp_path: Path, chain: ChainProcess) -> None:
    """A service and a client of others, which know the local JSON of the existing `rmb-peer` alone."""
    folder = await asyncio.to_thread(go, "go-redis")
    with relay(tmp_path / "relay", chain) as process, redis_server() as one, redis_server() as two:
        for path in (one, two):
            Path(path).chmod(0o666)  # the program runs as nobody
            Path(path).parent.chmod(0o755)
        async with (
            local_peer(tmp_path, 1, one, chain, process, "calculator"),
            local_peer(tmp_path, 2, two, chain, process),
        ):
            command = ("./interop", f"unix://{one}", "1", f"unix://{two}")
            found = await asyncio.to_thread(live, tmp_path, folder, command, lambda: None)
    assert found == {"sum": 42, "caller": 2, "refused": "not today", "at once": 20}
