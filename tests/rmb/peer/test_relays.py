"""A local service behind `rmb-peer` is reached over relays as over generation 1."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import rmb
from rmb import direct
from rmb.gen2.encryption import EncryptionKey
from rmb.gen2.envelope import Envelope, Error, Plain, Request
from rmb.gen2.session import Session
from rmb.peer import daemon
from rmb.peer.config import PeerConfig
from rmb.redis_link import RedisLink
from tests.rmb.peer.relayed_node import node
from tests.rmb.redis_server import redis_server
from tests.rmb.relay.grid import DOMAIN, PEOPLE, RelayProcess, message, peer
from tests.tfchain.devchain.process import ChainProcess
from tfchain import Chain

NODE = Session(1)


@contextlib.asynccontextmanager
async def caller(chain: ChainProcess, hub: RelayProcess, name: str) -> AsyncIterator[direct.DirectPeer]:
    key = EncryptionKey(bytes([2]) * 32)
    async with (
        Chain([chain.url]) as client,
        direct.connect([hub.url], client, PEOPLE[1], 2, session=name, encryption=key) as made,
    ):
        yield made


async def test_a_service_answers_over_the_relay(
    tmp_path: Path, link: RedisLink, redis_socket: str, chain: ChainProcess, hub: RelayProcess
) -> None:
    asked: list[str] = []
    async with node(tmp_path, redis_socket, chain, hub, asked), caller(chain, hub, "one") as bus:
        assert await bus.call(NODE, "zos.add", [20, 22], timeout=60) == 42
        answers = await asyncio.gather(*(bus.call(NODE, "zos.add", [n, 1], timeout=60) for n in range(50)))
        assert answers == [n + 1 for n in range(50)]
        with pytest.raises(rmb.RemoteError, match=r"^not today$"):
            await bus.call(NODE, "zos.refuse", timeout=60)
        with pytest.raises(rmb.RemoteError, match=r"^function is not found$"):
            await bus.call(NODE, "zos.nothing", timeout=60)
        assert await link.command("KEYS", "msgbus.relayed.*") == []


async def test_a_request_that_comes_again_is_not_served_again_and_a_forged_one_never(
    tmp_path: Path, link: RedisLink, redis_socket: str, chain: ChainProcess, hub: RelayProcess
) -> None:
    asked: list[str] = []
    async with (
        node(tmp_path, redis_socket, chain, hub, asked),
        caller(chain, hub, "two") as bus,
        peer(hub.url, 2, "raw") as raw,
    ):
        await bus.call(NODE, "zos.add", [1], timeout=60)
        envelope = Envelope.decode(message(raw.session, NODE, json.dumps([1, 2]), body=Request("zos.add")))
        await raw.socket.send_bytes(envelope.signed(PEOPLE[1]).encode())
        assert Envelope.decode(await raw.receive()).payload == Plain(b"3")
        await raw.socket.send_bytes(envelope.signed(PEOPLE[1]).encode())
        await raw.socket.send_bytes(envelope.signed(PEOPLE[2]).encode())
        answer = Envelope.decode(await raw.receive())
        assert isinstance(answer.body, Error)
        assert answer.body.code == 104
        await bus.call(NODE, "zos.add", [1], timeout=60)
        assert len(asked) == 3


@contextlib.asynccontextmanager
async def second_peer(
    folder: Path, redis: str, chain: ChainProcess, hub: RelayProcess
) -> AsyncIterator[rmb.Client]:
    """Twin 2 with a peer of its own; yields a local client."""
    PEOPLE[1].save(folder / "key2")
    config = PeerConfig.model_validate(
        {
            "redis": {"url": redis},
            "identity": {"key_file": folder / "key2"},
            "chain": {"urls": [chain.url]},
            "relays": {"urls": [hub.url], "register_twin": False},
        }
    )
    running = asyncio.create_task(daemon.run(config))
    try:
        async with await rmb.connect(redis) as client:
            yield client
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_a_local_client_calls_over_relays(
    tmp_path: Path, link: RedisLink, redis_socket: str, chain: ChainProcess, hub: RelayProcess
) -> None:
    asked: list[str] = []
    with redis_server() as other:
        async with (
            node(tmp_path, redis_socket, chain, hub, asked),
            second_peer(tmp_path, other, chain, hub) as client,
        ):
            assert await client.call(1, "zos.add", [20, 22], timeout=60) == 42
            answers = await asyncio.gather(
                *(client.call(1, "zos.add", [n, 1], timeout=60) for n in range(30))
            )
            assert answers == [n + 1 for n in range(30)]
            with pytest.raises(rmb.RemoteError, match=r"^not today$"):
                await client.call(1, "zos.refuse", timeout=60)
            with pytest.raises(rmb.RemoteError, match=r"^function is not found$"):
                await client.call(1, "zos.nothing", timeout=60)


async def test_relays_and_key_are_written_to_the_chain_once(
    tmp_path: Path, link: RedisLink, redis_socket: str, chain: ChainProcess, hub: RelayProcess
) -> None:
    PEOPLE[2].save(tmp_path / "key")
    config = PeerConfig.model_validate(
        {
            "redis": {"url": redis_socket},
            "identity": {"key_file": tmp_path / "key"},
            "chain": {"urls": [chain.url]},
            "relays": {"urls": [f"ws://{DOMAIN}", "ws://second.example.org"]},
        }
    )
    key = EncryptionKey(bytes([3]) * 32).public_key
    async with Chain([chain.url]) as client:
        for _ in range(2):
            running = asyncio.create_task(daemon.run(config))
            async with asyncio.timeout(60):
                while (found := await client.twin(3)) is None or found.pk != key:  # type: ignore[arg-type]  # an id
                    await asyncio.sleep(0.05)
            nonce = await client.nonce(PEOPLE[2].public_key)
            await asyncio.sleep(0.5)
            assert await client.nonce(PEOPLE[2].public_key) == nonce == 1
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
        assert found.relay is not None
        assert set(found.relay.split("_")) == {DOMAIN, "second.example.org"}
        await client.update_twin(PEOPLE[2], DOMAIN, None)
