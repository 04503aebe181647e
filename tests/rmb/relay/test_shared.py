"""Several processes of one relay behind one port and one Redis."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from rmb.gen2.session import Session
from tests.rmb.redis_cluster import redis_cluster
from tests.rmb.redis_server import redis_server
from tests.rmb.relay.grid import Peer, RelayProcess, chain_with_twins, peer, relay
from tests.tfchain.devchain.process import ChainProcess, free_port

ALICE, BOB = Session(1), Session(2)
PAIRS = 6
"""Pairs of sessions; the kernel spreads them over the two processes."""


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChainProcess]:
    with chain_with_twins(tmp_path_factory.mktemp("chain")) as process:
        yield process


@pytest.fixture(params=["one Redis", "a cluster"])
def pair(
    request: pytest.FixtureRequest, tmp_path: Path, chain: ChainProcess
) -> Iterator[tuple[RelayProcess, RelayProcess]]:
    """Two processes on one port."""
    with contextlib.ExitStack() as stack:
        if request.param == "a cluster":
            cluster = stack.enter_context(redis_cluster(tmp_path / "cluster"))
            flags: tuple[str, ...] = ("--redis-cluster", "--redis", cluster.addresses)
        else:
            flags = ("--redis", f"unix://{stack.enter_context(redis_server())}")
        port = free_port()
        with (
            relay(tmp_path / "one", chain, *flags, port=port) as one,
            relay(tmp_path / "two", chain, *flags, port=port) as two,
        ):
            yield one, two


async def test_everybody_is_reached_through_either_process(pair: tuple[RelayProcess, RelayProcess]) -> None:
    url = pair[0].url
    async with contextlib.AsyncExitStack() as stack:
        senders = [await stack.enter_async_context(peer(url, 1, f"a{n}")) for n in range(PAIRS)]
        receivers = [await stack.enter_async_context(peer(url, 2, f"b{n}")) for n in range(PAIRS)]
        for sender in senders:
            for receiver in receivers:
                sent = [await sender.send(receiver.session, f"message {number}") for number in range(5)]
                assert [await receiver.receive() for _ in sent] == sent


async def test_a_session_that_moves_to_the_other_process_takes_its_messages_along(
    pair: tuple[RelayProcess, RelayProcess],
) -> None:
    url = pair[0].url
    seen: set[bytes] = set()
    async with peer(url, 1) as alice:
        for number in range(8):  # each connection may land on either process
            async with peer(url, 2, "mover") as mover:
                sent = await alice.send(mover.session, f"to connection {number}")
                assert await _new(mover, seen) == sent
            sent = await alice.send(Session(2, "mover"), f"between connections {number}")
            async with peer(url, 2, "mover") as mover:
                assert await _new(mover, seen) == sent


async def _new(receiver: Peer, seen: set[bytes]) -> bytes:
    """The next message that did not come before: a move may bring one again that was delivered just then."""
    while (raw := await receiver.receive()) in seen:
        pass
    seen.add(raw)
    return raw


async def test_the_newer_connection_of_a_session_wins_over_processes(
    pair: tuple[RelayProcess, RelayProcess],
) -> None:
    url = pair[0].url
    async with contextlib.AsyncExitStack() as stack:
        alice = await stack.enter_async_context(peer(url, 1))
        connections: list[Peer] = []
        for _ in range(6):
            connections.append(await stack.enter_async_context(peer(url, 2, "many")))
            await asyncio.sleep(0.1)
        for former in connections[:-1]:
            ended = await former.socket.receive(timeout=30)
            assert ended.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
        sent = [await alice.send(Session(2, "many"), f"{number}") for number in range(20)]
        assert [await connections[-1].receive() for _ in sent] == sent


async def test_a_killed_process_loses_no_stored_message(pair: tuple[RelayProcess, RelayProcess]) -> None:
    one, two = pair
    async with peer(one.url, 1) as alice:
        sent = [await alice.send(Session(3, "later"), f"kept {number}") for number in range(50)]
        await alice.send(ALICE)
        await alice.receive()
    # Both processes answer "alice got hers", so all were accepted before; whichever took them is killed too.
    await asyncio.sleep(0.2)
    one.kill()
    two.kill()
    two.start()
    async with peer(two.url, 3, "later") as carol:
        assert [await carol.receive() for _ in sent] == sent
