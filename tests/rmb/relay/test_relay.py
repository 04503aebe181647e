"""The relay as peers and other relays meet it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import aiohttp
import pytest

from rmb.gen2.envelope import Envelope, Error, Response, Signal
from rmb.gen2.session import Session
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
)
from tests.tfchain.devchain.process import ChainProcess
from tfchain import Chain

ALICE, BOB, CAROL, DAVE, EVE = (Session(number) for number in range(1, 6))


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChainProcess]:
    with chain_with_twins(tmp_path_factory.mktemp("chain")) as process:
        yield process


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, chain: ChainProcess) -> Iterator[RelayProcess]:
    with relay(tmp_path_factory.mktemp("relay"), chain) as process:
        yield process


async def test_bytes_arrive_as_they_were_sent_in_order_and_to_the_right_session(hub: RelayProcess) -> None:
    async with peer(hub.url, 1) as alice, peer(hub.url, 2) as bob, peer(hub.url, 2, "second") as second:
        sent = [await alice.send(BOB, f"message {number}") for number in range(300)]
        other = await alice.send(Session(2, "second"), "for the other session")
        assert [await bob.receive() for _ in sent] == sent
        assert await second.receive() == other
        answer = await second.send(ALICE, body=Response())
        assert await alice.receive() == answer


async def test_what_is_sent_to_an_absent_session_waits_for_it(hub: RelayProcess) -> None:
    async with peer(hub.url, 1) as alice:
        sent = [await alice.send(Session(3, "later"), f"stored {number}") for number in range(700)]
        async with peer(hub.url, 3, "later") as carol:
            assert [await carol.receive() for _ in sent] == sent
            more = await alice.send(Session(3, "later"), "live")
            assert await carol.receive() == more
        async with peer(hub.url, 3, "later") as carol:
            last = await alice.send(Session(3, "later"), "nothing comes twice")
            assert await carol.receive() == last


@pytest.mark.parametrize(
    ("to", "fields", "reason"),
    [
        (None, {}, "message with missing destination"),
        (Session(0), {}, "message with missing destination"),
        (Session(99), {}, "unknown twin destination"),
        (EVE, {}, "relay info is not set for this twin"),
        (Session(3, "nobody"), {"tags": "a, fail-fast"}, "destination offline"),
    ],
)
async def test_a_request_that_cannot_be_carried_is_answered(
    hub: RelayProcess, to: Session | None, fields: dict[str, str], reason: str
) -> None:
    async with peer(hub.url, 1) as alice:
        await alice.send(to, uid="mine", **fields)
        raw = await alice.receive()
        envelope = Envelope.decode(raw)
        assert envelope.uid == "mine"
        assert envelope.body == Error(0, reason)
        assert (envelope.source, envelope.signature, envelope.payload) == (None, None, None)
        # What is no request is dropped without a word.
        await alice.send(to, body=Response(), **fields)
        await alice.send(ALICE, "to myself")
        assert Envelope.decode(await alice.receive()).body != Error(0, reason)


async def test_nobody_speaks_for_another(hub: RelayProcess) -> None:
    async with peer(hub.url, 1) as alice, peer(hub.url, 1, "x") as other:
        for forged in (BOB, Session(1, "x"), Session(1, "")):
            await alice.socket.send_bytes(message(forged, BOB))
            assert await alice.error() == "message wrong source"
        await other.socket.send_bytes(message(ALICE, BOB))
        assert await other.error() == "message wrong source"


async def test_pings_of_both_kinds_are_answered(hub: RelayProcess) -> None:
    async with peer(hub.url, 1) as alice:
        await alice.send(None, "payload ", body=Signal.PING)
        pong = Envelope.decode(await alice.receive())
        assert pong.body is Signal.PONG
        assert pong.destination == ALICE
        assert pong.payload is not None
        assert pong.payload.data == b"payload hello world"
        await alice.socket.ping(b"x")
        await alice.send(ALICE)
        await alice.receive()


async def test_a_second_connection_replaces_the_first_and_stays(hub: RelayProcess) -> None:
    async with peer(hub.url, 1) as alice, peer(hub.url, 2, "twice") as first:
        async with peer(hub.url, 2, "twice") as second:
            ended = await first.socket.receive(timeout=30)
            assert ended.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)
            await first.socket.close()
            for number in range(3):
                sent = await alice.send(Session(2, "twice"), f"for the second {number}")
                assert await second.receive() == sent
                await asyncio.sleep(0.05)


@pytest.mark.parametrize("what", ["text", "garbage"])
async def test_what_is_no_envelope_ends_the_connection(hub: RelayProcess, what: str) -> None:
    async with peer(hub.url, 1, what) as alice:
        if what == "text":
            await alice.socket.send_str("hello")
        else:
            await alice.socket.send_bytes(b"\xff\xff\xff\xff")
        ended = await alice.socket.receive(timeout=30)
        assert ended.type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)


@pytest.mark.parametrize(
    ("query", "status", "text"),
    [
        (lambda: "", 400, "missing jwt"),
        (lambda: "nonsense", 401, "invalid jwt: "),
        (lambda: token(ALICE, signer=PEOPLE[1]), 401, "invalid jwt: signature"),
        (lambda: token(ALICE, now=int(time.time()) - 1000), 401, "invalid jwt: jwt has expired"),
        (lambda: token(Session(77), signer=PEOPLE[1]), 401, "twin not found 77"),
    ],
)
async def test_who_is_not_proven_is_refused_before_the_upgrade(
    hub: RelayProcess, query: Callable[[], str], status: int, text: str
) -> None:
    headers = {
        "Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
    }  # fmt: skip
    url = f"http://127.0.0.1:{hub.port}/" + (f"?{query()}" if query() else "")
    async with aiohttp.ClientSession() as http, http.get(url, headers=headers) as answer:
        assert answer.status == status
        assert (await answer.text()).startswith(text)


async def test_other_relays_hand_over_by_post(hub: RelayProcess) -> None:
    url = f"http://127.0.0.1:{hub.port}/"
    async with aiohttp.ClientSession() as http, peer(hub.url, 2, "post") as bob:

        async def post(data: bytes) -> tuple[int, str]:
            async with http.post(url, data=data) as answer:
                return answer.status, await answer.text()

        raw = message(DAVE, Session(2, "post"))
        assert await post(raw) == (202, "")
        assert await bob.receive() == raw
        assert (await post(b"\xff\xff\xff"))[0] == 400
        offline = message(DAVE, Session(2, "gone"), tags="fail-fast")
        assert await post(offline) == (404, "destination offline")
        async with http.get(url + "something") as answer:
            assert (answer.status, await answer.text()) == (404, "page not found")


def test_metrics_and_health_are_text(hub: RelayProcess) -> None:
    shown = hub.get("/metrics")
    for name in ("relay_message_rx_total", "relay_message_tx_bytes_total", "relay_worker_connections"):
        assert name in shown
    assert hub.get("/health").startswith("ok")


async def test_changes_of_a_twin_on_the_chain_take_effect(hub: RelayProcess, chain: ChainProcess) -> None:
    async with peer(hub.url, 1) as alice, Chain([chain.url]) as client:
        await alice.send(Session(6, "x"), tags="fail-fast")
        assert await alice.error() == "destination offline"
        await client.update_twin(PEOPLE[5], None, None)
        async with asyncio.timeout(30):
            while True:
                await alice.send(Session(6, "x"), tags="fail-fast")
                if await alice.error() == "relay info is not set for this twin":
                    break
        await client.update_twin(PEOPLE[5], DOMAIN, None)


async def test_a_twin_that_sends_too_much_is_told(tmp_path: Path, chain: ChainProcess) -> None:
    with relay(tmp_path, chain, "--limit", "5", "100000") as process:
        async with peer(process.url, 1) as alice:
            for _ in range(5):
                await alice.send(ALICE)
                await alice.receive()
            await alice.send(ALICE, "the sixth")
            assert await alice.error() == "exceeded rate limits, dropping message"


async def test_messages_for_another_relay_go_there_and_its_no_comes_back(
    tmp_path: Path, chain: ChainProcess
) -> None:
    with relay(tmp_path / "other", chain, "--domain", OTHER_DOMAIN) as other:
        config = tmp_path / "relay.toml"
        config.write_text(
            f'[relay]\ndomains = ["{DOMAIN}"]\nfederation_scheme = "http"\n'
            f'others = {{ "{OTHER_DOMAIN}" = "127.0.0.1:{other.port}" }}\n'
            f'[chain]\nurls = ["{chain.url}"]\n'
        )
        with relay(tmp_path / "ours", chain, "--config", str(config)) as ours:
            async with peer(ours.url, 1) as alice, peer(other.url, 4) as dave:
                sent = [await alice.send(DAVE, f"over there {number}") for number in range(20)]
                assert sorted([await dave.receive() for _ in sent]) == sorted(sent)
                await alice.send(Session(4, "gone"), tags="fail-fast")
                assert await _text(alice.receive()) == (
                    "remote relay rejected permanently: destination offline"
                )
                await alice.send(DAVE, timestamp=1000, expiration=5)
                assert await _text(alice.receive()) == "message has expired"


async def _text(raw: object) -> str:
    envelope = Envelope.decode(await raw)  # type: ignore[misc]  # a coroutine
    assert isinstance(envelope.body, Error)
    return envelope.body.message


async def test_a_killed_relay_loses_nothing_that_it_kept(tmp_path: Path, chain: ChainProcess) -> None:
    with relay(tmp_path, chain) as process:
        async with peer(process.url, 1) as alice:
            sent = [await alice.send(Session(3, "later"), f"kept {number}") for number in range(50)]
            await alice.send(ALICE, "what came before is accepted")
            await alice.receive()
            async with asyncio.timeout(30):
                while "relay_message_rx_total 51.0" not in await asyncio.to_thread(process.get, "/metrics"):
                    await asyncio.sleep(0.02)
        process.kill()
        process.start()
        async with peer(process.url, 3, "later") as carol:
            assert [await carol.receive() for _ in sent] == sent


async def test_with_store_always_nothing_is_handed_over_before_it_is_kept(
    tmp_path: Path, chain: ChainProcess
) -> None:
    with relay(tmp_path, chain, "--store-always") as process:
        async with peer(process.url, 1) as alice, peer(process.url, 2) as bob:
            sent = [await alice.send(BOB, f"message {number}") for number in range(500)]
            assert [await bob.receive() for _ in sent] == sent
        await until_connected(process, 0)
        async with peer(process.url, 2) as bob, peer(process.url, 1) as alice:
            last = await alice.send(BOB, "what was delivered is forgotten")
            assert await bob.receive() == last


async def test_a_peer_that_does_not_read_loses_nothing(tmp_path: Path, chain: ChainProcess) -> None:
    with relay(tmp_path, chain) as process:
        async with peer(process.url, 1) as alice, peer(process.url, 2) as bob:
            bulk = "x" * 20_000
            sent = [await alice.send(BOB, f"{number} {bulk}") for number in range(1500)]
            await alice.send(ALICE, "all of it was taken")
            await alice.receive()
            received = [await bob.receive() for _ in sent]
            assert received == sent
