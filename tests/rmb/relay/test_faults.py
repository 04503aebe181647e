"""What breaks around a relay: peers that vanish, floods, loops, clocks, a Redis or a chain that is away for a while."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import shutil
import struct
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import aiohttp
import pytest

from rmb.gen2.envelope import Envelope, Error
from rmb.gen2.session import Session
from rmb.relay.stores.message_store import MAX_IN_SESSION
from tests.rmb.relay.grid import (
    DOMAIN,
    OTHER_DOMAIN,
    PEOPLE,
    RelayProcess,
    chain_with_twins,
    message,
    peer,
    relay,
    token,
    until_connected,
    until_stored,
)
from tests.tfchain.devchain.process import ChainProcess, free_port

ALICE, BOB, DAVE = Session(1), Session(2), Session(4)
WAIT_S = 60.0


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[ChainProcess]:
    folder = tmp_path / "chain"
    folder.mkdir()
    with chain_with_twins(folder) as process:
        yield process


async def _mute_peer(process: RelayProcess, session: Session) -> asyncio.StreamWriter:
    """A session whose machine is gone: its socket stays open, nothing answers any more."""
    reader, writer = await asyncio.open_connection("127.0.0.1", process.port)
    key = base64.b64encode(os.urandom(16)).decode()
    writer.write(
        f"GET /?{token(session)} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
    )
    head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), WAIT_S)
    assert b" 101 " in head
    return writer


async def test_a_peer_that_is_gone_without_a_word_is_noticed(tmp_path: Path, chain: ChainProcess) -> None:
    config = tmp_path / "relay.toml"
    config.write_text(f'[relay]\ndomains = ["{DOMAIN}"]\nping = 1\n[chain]\nurls = ["{chain.url}"]\n')
    with relay(tmp_path / "relay", chain, "--config", str(config)) as process:
        async with peer(process.url, 1) as alice:
            writer = await _mute_peer(process, Session(2, "gone"))
            await until_connected(process, 2)
            # It answers no ping; the other does, whose library does so by itself while it reads.
            reading = asyncio.create_task(alice.receive())
            await until_connected(process, 1)
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            writer.close()
        async with peer(process.url, 1) as alice:
            sent = await alice.send(Session(2, "gone"), "after you left")
            async with peer(process.url, 2, "gone") as back:
                assert await back.receive() == sent


async def test_a_peer_that_sends_slowly_is_not_taken_for_gone(tmp_path: Path, chain: ChainProcess) -> None:
    config = tmp_path / "relay.toml"
    config.write_text(f'[relay]\ndomains = ["{DOMAIN}"]\nping = 1\n[chain]\nurls = ["{chain.url}"]\n')
    with relay(tmp_path / "relay", chain, "--config", str(config)) as process:
        slow = Session(2, "slow")
        writer = await _mute_peer(process, slow)
        async with peer(process.url, 1) as alice:
            raw = message(slow, ALICE, "all of it" * 20)
            assert 126 <= len(raw) < 1 << 16
            frame = (
                struct.pack("!BBHI", 0x82, 0x80 | 126, len(raw), 0) + raw
            )  # masked with zeros: RFC 6455 §5.2
            reading = asyncio.create_task(alice.receive())  # which answers pings
            for number in range(len(frame)):  # answers no ping meanwhile: it is in the middle of a message
                writer.write(frame[number : number + 1])
                await asyncio.sleep(4 / len(frame))
            assert await reading == raw
        writer.close()


async def test_a_flood_fills_neither_memory_nor_disk(tmp_path: Path, chain: ChainProcess) -> None:
    with relay(tmp_path, chain) as process:
        async with peer(process.url, 1) as alice:
            # Until the chain has told who twin 3 is, few messages may wait for it, and the rest is refused.
            first = await alice.send(Session(3, "absent"), "the first")
            await until_stored(process, Session(3, "absent"), first)
            raw = message(ALICE, Session(3, "absent"), "x" * 100)
            for _ in range(12_000):
                await alice.socket.send_bytes(raw)
            last = await alice.send(Session(3, "absent"), "the last")
            await alice.send(ALICE, "all of it is taken")
            await alice.receive()
            await until_stored(process, Session(3, "absent"), last)  # the writer is behind what was taken
            resident = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1]) * 4096
            assert resident < 400 << 20
        async with peer(process.url, 3, "absent") as carol:
            found = []
            with contextlib.suppress(TimeoutError):
                while True:
                    found.append(bytes(await carol.socket.receive_bytes(timeout=60)))
                    if found[-1] == last:
                        break
        assert found[-1] == last, "the newest are kept"
        assert len(found) <= MAX_IN_SESSION


async def test_what_comes_from_a_relay_goes_to_no_other_relay(tmp_path: Path, chain: ChainProcess) -> None:
    """Two relays, each of which sends the twins of the other domain to the other: nothing circles between them."""
    ports = free_port(), free_port()
    with contextlib.ExitStack() as stack:
        both = []
        for domain, own, others in ((DOMAIN, *ports), ("misnamed.example.org", *reversed(ports))):
            config = tmp_path / f"{domain}.toml"
            config.write_text(
                f'[relay]\ndomains = ["{domain}"]\nfederation_scheme = "http"\n'
                f'others = {{ "{OTHER_DOMAIN}" = "127.0.0.1:{others}", "{DOMAIN}" = "127.0.0.1:{ports[0]}" }}\n'
                f'[chain]\nurls = ["{chain.url}"]\n'
            )
            both.append(
                stack.enter_context(
                    relay(tmp_path / domain, chain, "--domain", domain, "--config", str(config), port=own)
                )
            )
        ours, misnamed = both
        async with peer(ours.url, 1) as alice:
            sent = await alice.send(DAVE, "where are you?")  # is registered at a domain that neither has
            async with peer(misnamed.url, 4) as dave:
                assert await dave.receive() == sent
        async with asyncio.timeout(WAIT_S):
            while "federation_message_success_total{" not in await asyncio.to_thread(ours.get, "/metrics"):
                await asyncio.sleep(0.1)
        metrics = await asyncio.to_thread(misnamed.get, "/metrics")
        assert "federation_message_success_total{" not in metrics
        assert "federation_message_error_total{" not in metrics


async def test_clocks_that_are_wrong_are_told_and_do_no_harm(tmp_path: Path, chain: ChainProcess) -> None:
    now = int(time.time())
    with relay(tmp_path, chain) as process:
        async with peer(process.url, 1) as alice, peer(process.url, 2) as bob:
            for absent_or_not in (BOB, Session(3, "absent")):
                await alice.send(absent_or_not, timestamp=now - 7200)
                assert await alice.error() == "message has expired"
            sent = await alice.send(BOB, timestamp=now + 7200)
            assert await bob.receive() == sent
            await alice.send(Session(3, "absent"), timestamp=now + 2**40, expiration=2**40)
            sent = await alice.send(BOB, "still here")
            assert await bob.receive() == sent
        async with aiohttp.ClientSession() as http:
            late = token(ALICE, now=now - 7200)
            async with http.get(f"http://127.0.0.1:{process.port}/?{late}", headers=_UPGRADE) as answer:
                assert (answer.status, await answer.text()) == (401, "invalid jwt: jwt has expired")


_UPGRADE = {
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": base64.b64encode(bytes(16)).decode(),
}


async def test_a_token_that_was_caught_is_worth_nothing_after_its_minute(
    tmp_path: Path, chain: ChainProcess
) -> None:
    with relay(tmp_path, chain) as process:
        caught = token(ALICE, now=int(time.time()) - 58)
        async with aiohttp.ClientSession() as http:
            async with http.ws_connect(f"{process.url}?{caught}"):
                pass
            status = 101
            async with asyncio.timeout(WAIT_S):
                while status == 101:
                    await asyncio.sleep(0.5)
                    async with http.get(
                        f"http://127.0.0.1:{process.port}/?{caught}", headers=_UPGRADE
                    ) as answer:
                        status = answer.status
            assert status == 401


@contextlib.contextmanager
def _redis(folder: Path, port: int) -> Iterator[subprocess.Popen[bytes]]:
    program = shutil.which("redis-server")
    if program is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    process = subprocess.Popen(
        [
            program,
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--dir",
            str(folder),
            "--save",
            "",
            "--appendonly",
            "yes",
            "--appendfsync",
            "always",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.STDOUT,
    )
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def test_a_redis_that_goes_and_comes_back_loses_nothing_that_was_accepted(
    tmp_path: Path, chain: ChainProcess
) -> None:
    port, folder = free_port(), tmp_path / "redis"
    folder.mkdir()
    absent = Session(3, "absent")
    with contextlib.ExitStack() as first:
        server = first.enter_context(_redis(folder, port))
        with relay(tmp_path / "relay", chain, "--redis", f"redis://127.0.0.1:{port}") as process:
            async with peer(process.url, 1) as alice, peer(process.url, 2) as bob:
                kept = [await alice.send(absent, f"before {number}") for number in range(20)]
                await alice.send(ALICE, "taken")
                await alice.receive()
                await _until_kept(process, 20)
                server.kill()
                server.wait()
                # Who is connected is still reached; what would have to be kept is answered, or waits for the store.
                sent = await alice.send(BOB, "without a store")
                assert await bob.receive() == sent
                with _redis(folder, port):
                    later: list[bytes] = []
                    async with asyncio.timeout(WAIT_S):
                        while not later:
                            raw = await alice.send(absent, "after", tags="")
                            try:
                                refusal = Envelope.decode(bytes(await alice.socket.receive_bytes(timeout=2)))
                                assert isinstance(refusal.body, Error)
                            except TimeoutError:
                                later.append(raw)
                    async with peer(process.url, 3, "absent") as carol:
                        found = [await carol.receive() for _ in range(len(kept) + 1)]
                    assert found[:20] == kept
                    assert later[0] in found or found[20] not in kept


async def _until_kept(process: RelayProcess, count: int) -> None:
    async with asyncio.timeout(WAIT_S):
        while f"relay_message_rx_total {count + 1}.0" not in await asyncio.to_thread(process.get, "/metrics"):
            await asyncio.sleep(0.05)


async def test_a_chain_that_is_away_stops_nobody_who_is_known(tmp_path: Path, chain: ChainProcess) -> None:
    with relay(tmp_path / "relay", chain) as process:
        async with peer(process.url, 1) as alice, peer(process.url, 2) as bob:
            sent = await alice.send(BOB, "hello")
            assert await bob.receive() == sent
            chain.kill()
            sent = await alice.send(BOB, "the chain is gone")
            assert await bob.receive() == sent
            async with peer(process.url, 2, "second") as second:
                sent = await alice.send(second.session, "a new session of a known twin")
                assert await second.receive() == sent
            async with aiohttp.ClientSession() as http:
                url = f"http://127.0.0.1:{process.port}/?{token(Session(6), signer=PEOPLE[5])}"
                async with http.get(url, headers=_UPGRADE) as answer:
                    assert answer.status == 500
                    assert "failed to get twin" in await answer.text()
            chain.start()
            async with asyncio.timeout(WAIT_S):
                while True:
                    with contextlib.suppress(aiohttp.WSServerHandshakeError):
                        async with peer(process.url, 6) as stranger:
                            sent = await alice.send(stranger.session, "welcome")
                            assert await stranger.receive() == sent
                            break
                    await asyncio.sleep(0.2)
