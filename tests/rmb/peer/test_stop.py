from __future__ import annotations

import asyncio

import uvloop

from rmb.peer import daemon
from rmb.redis_link import RedisLink
from tests.rmb.peer.world import Twin, config_of, directory_of


async def start_and_stop(twin: Twin) -> None:
    """Sixty peers, each cancelled a little later in its life than the one before."""
    for step in range(60):
        peer = asyncio.create_task(daemon.serve(config_of(twin), twin.identity, directory_of(twin), twin.id))
        await asyncio.sleep(step * 0.0003)
        peer.cancel()
        done, _ = await asyncio.wait([peer], timeout=60)
        assert done, f"a peer that was stopped after {step * 0.3:.1f} ms runs on"
        assert peer.cancelled()


async def test_a_peer_can_be_stopped_at_any_moment(alice: Twin) -> None:
    await start_and_stop(alice)


def test_a_peer_can_be_stopped_at_any_moment_with_uvloop(redis_socket: str) -> None:
    uvloop.run(start_and_stop(Twin.make(14, 1, redis_socket)))


async def test_a_stopped_peer_leaves_no_connection_behind(alice: Twin, link: RedisLink) -> None:
    await start_and_stop(alice)
    await asyncio.sleep(0.1)
    clients = (await link.command("CLIENT", "LIST")).decode().splitlines()
    assert not [client for client in clients if "cmd=blmove" in client]
