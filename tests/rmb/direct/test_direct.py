"""Direct peers over a real relay and a real chain."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import time
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

import rmb
from rmb import direct
from rmb.gen2.encryption import EncryptionKey
from rmb.gen2.envelope import Cipher, Envelope, Error, Plain, Request, Response
from rmb.gen2.session import Session
from tests.rmb.relay.grid import PEOPLE, Peer, RelayProcess, chain_with_twins, message, peer, relay
from tests.tfchain.devchain.process import ChainProcess
from tfchain import Chain

SEEDS = [bytes([number]) * 32 for number in range(1, 7)]
NAMES = (f"session{number}" for number in itertools.count())
"""Every test has sessions of its own: a relay may still be about to notice that the former one's are gone."""


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChainProcess]:
    with chain_with_twins(tmp_path_factory.mktemp("chain")) as process:
        yield process


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, chain: ChainProcess) -> Iterator[RelayProcess]:
    with relay(tmp_path_factory.mktemp("relay"), chain) as process:
        yield process


@contextlib.asynccontextmanager
async def connected(
    hub: RelayProcess, chain: ChainProcess, twin: int, session: str, *, encrypts: bool = False
) -> AsyncIterator[direct.DirectPeer]:
    key = EncryptionKey(SEEDS[twin - 1]) if encrypts else None
    async with (
        Chain([chain.url]) as client,
        direct.connect([hub.url], client, PEOPLE[twin - 1], twin, session=session, encryption=key) as made,
    ):
        yield made


@contextlib.asynccontextmanager
async def pair(
    hub: RelayProcess, chain: ChainProcess, **options: bool
) -> AsyncIterator[tuple[Any, Any, list[str]]]:
    """A caller, a service, and what the service was asked."""
    asked: list[str] = []

    async def add(request: rmb.Request) -> Any:
        asked.append(request.uid)
        return sum(request.json())

    async def wait(request: rmb.Request) -> Any:
        await asyncio.sleep(request.json())
        return request.source

    async def refuse(request: rmb.Request) -> Any:
        raise rmb.HandlerError("not today")

    async def break_(request: rmb.Request) -> Any:
        raise RuntimeError("a secret")

    async with (
        connected(hub, chain, 1, next(NAMES), **options) as service,
        connected(hub, chain, 2, next(NAMES), **options) as caller,
    ):
        math = service.routes.subroute("math")
        for name, handler in (("add", add), ("wait", wait), ("refuse", refuse), ("break", break_)):
            math.handle(name, handler)
        yield caller, service, asked


async def test_calls_are_answered_many_at_once_and_in_any_order(
    hub: RelayProcess, chain: ChainProcess
) -> None:
    async with pair(hub, chain) as (caller, service, _):
        assert await caller.call(service.session, "math.add", [1, 2, 3]) == 6
        slow = asyncio.create_task(caller.call(service.session, "math.wait", 1.0))
        answers = await asyncio.gather(
            *(caller.call(service.session, "math.add", [n, n]) for n in range(100))
        )
        assert answers == [2 * n for n in range(100)]
        assert await slow == 2  # the source, as proven


async def test_refusals_faults_and_unknown_commands_are_told_apart(
    hub: RelayProcess, chain: ChainProcess
) -> None:
    async with pair(hub, chain) as (caller, service, _):
        with pytest.raises(rmb.RemoteError, match=r"^not today$"):
            await caller.call(service.session, "math.refuse")
        with pytest.raises(rmb.RemoteError, match=r"internal error in math\.break") as fault:
            await caller.call(service.session, "math.break")
        assert "secret" not in str(fault.value)
        with pytest.raises(rmb.RemoteError, match=r"^function is not found$"):
            await caller.call(service.session, "math.nothing")
        with pytest.raises(rmb.CallTimeout, match=r"no answer within 0\.3 s"):
            await caller.call(service.session, "math.wait", 5, timeout=0.3)


async def test_who_cannot_be_reached_is_told_by_chain_or_relay(
    hub: RelayProcess, chain: ChainProcess
) -> None:
    async with connected(hub, chain, 2, next(NAMES)) as caller:
        with pytest.raises(rmb.NotDelivered, match="unknown twin id '99'"):
            await caller.call(99, "a.b")
        with pytest.raises(rmb.NotDelivered, match="relay info is not set for this twin"):
            await caller.call(5, "a.b")


async def test_without_a_relay_nothing_is_sent_and_it_says_so(chain: ChainProcess) -> None:
    async with (
        Chain([chain.url]) as client,
        direct.connect(["ws://127.0.0.1:1"], client, PEOPLE[1], 2, session="x") as caller,
    ):
        with pytest.raises((rmb.NotDelivered, rmb.CallTimeout)):
            await caller.call(1, "a.b", timeout=1.5)


async def test_a_cancelled_call_leaves_nothing_behind(hub: RelayProcess, chain: ChainProcess) -> None:
    async with pair(hub, chain) as (caller, service, _):
        task = asyncio.create_task(caller.call(service.session, "math.wait", 30))
        while not caller._calls:
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not caller._calls
        assert await caller.call(service.session, "math.add", [1]) == 1


async def test_messages_are_encrypted_if_and_only_if_the_receiver_has_a_key_on_the_chain(
    hub: RelayProcess, chain: ChainProcess
) -> None:
    keys = {twin: EncryptionKey(SEEDS[twin - 1]) for twin in (1, 2, 3)}
    async with Chain([chain.url]) as client:
        for twin in (1, 2):
            before = await client.twin(twin)  # type: ignore[arg-type]  # a twin id
            assert before is not None
            await client.update_twin(PEOPLE[twin - 1], before.relay, keys[twin].public_key)
        try:
            async with pair(hub, chain, encrypts=True) as (caller, service, _):
                assert await caller.call(service.session, "math.add", [20, 22]) == 42
            async with connected(hub, chain, 2, next(NAMES), encrypts=True) as caller:
                for receiver, kind in ((Session(1, "ear"), Cipher), (Session(3, "ear"), Plain)):
                    async with peer(hub.url, receiver.twin, "ear") as ear:
                        call = asyncio.create_task(caller.call(receiver, "a.b", "secret", timeout=20))
                        heard = Envelope.decode(await ear.receive())
                        assert isinstance(heard.payload, kind)
                        assert (b"secret" in heard.payload.data) is (kind is Plain)
                        call.cancel()
        finally:
            for twin in (1, 2):
                await client.update_twin(PEOPLE[twin - 1], "relay.example.org", None)


async def test_a_request_that_comes_twice_is_carried_out_once_and_answered_twice(
    hub: RelayProcess, chain: ChainProcess
) -> None:
    async with pair(hub, chain) as (_, service, asked), peer(hub.url, 3, "raw") as raw:
        request = signed(raw, service.session, Request("math.add"), [1, 1])
        for _ in range(3):
            await raw.socket.send_bytes(request)
            answer = Envelope.decode(await raw.receive())
            assert answer.payload == Plain(b"2")
        assert len(asked) == 1


@pytest.mark.parametrize("what", ["unsigned", "expired", "forged", "future"])
async def test_requests_that_are_not_believed_are_not_carried_out(
    hub: RelayProcess, chain: ChainProcess, what: str
) -> None:
    async with pair(hub, chain) as (_, service, asked), peer(hub.url, 3, "raw") as raw:
        fields: dict[str, Any] = {}
        if what == "expired":
            fields = {"timestamp": int(time.time()) - 100, "expiration": 50}
        if what == "future":
            fields = {"timestamp": int(time.time()) + 3600}
        signer = PEOPLE[0] if what == "forged" else PEOPLE[2]
        envelope = Envelope.decode(
            message(raw.session, service.session, "[1]", body=Request("math.add"), **fields)
        )
        await raw.socket.send_bytes((envelope if what == "unsigned" else envelope.signed(signer)).encode())
        answer = Envelope.decode(await raw.receive())
        assert isinstance(answer.body, Error)
        assert not asked


async def test_only_the_twin_that_was_asked_can_answer(hub: RelayProcess, chain: ChainProcess) -> None:
    async with (
        connected(hub, chain, 2, next(NAMES)) as caller,
        peer(hub.url, 1, "ear") as asked,
        peer(hub.url, 3, "liar") as liar,
    ):
        call = asyncio.create_task(caller.call(Session(1, "ear"), "a.b", timeout=30))
        request = Envelope.decode(await asked.receive())
        for forger, signer in ((liar, PEOPLE[2]), (asked, PEOPLE[2])):
            lie = Envelope.decode(
                message(forger.session, caller.session, '"a lie"', body=Response(), uid=request.uid)
            )
            await forger.socket.send_bytes(lie.signed(signer).encode())
        await asyncio.sleep(0.5)
        assert not call.done()
        truth = Envelope.decode(
            message(asked.session, caller.session, '"true"', body=Response(), uid=request.uid)
        )
        await asked.socket.send_bytes(truth.signed(PEOPLE[0]).encode())
        assert await call == "true"


async def test_the_connection_comes_back_when_the_relay_does(
    tmp_path_factory: pytest.TempPathFactory, chain: ChainProcess
) -> None:
    with relay(tmp_path_factory.mktemp("restarted"), chain) as hub:
        async with pair(hub, chain) as (caller, service, _):
            assert await caller.call(service.session, "math.add", [1]) == 1
            await asyncio.to_thread(hub.kill)
            await asyncio.to_thread(hub.start)
            assert await caller.call(service.session, "math.add", [2], timeout=60) == 2


def signed(sender: Peer, to: Session, body: Request, payload: Any) -> bytes:
    envelope = Envelope.decode(message(sender.session, to, json.dumps(payload), body=body))
    return envelope.signed(PEOPLE[sender.session.twin - 1]).encode()
