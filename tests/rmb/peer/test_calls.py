"""Calls from one twin to another and back, and what becomes of those that cannot be made."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

import rmb
from rmb import queues
from rmb.gen1.message import Message
from rmb.peer.config import LimitsSection
from rmb.redis_link import RedisLink
from tests.rmb.peer.world import Twin, pop, running, serve_echo


@asynccontextmanager
async def linked(twin: Twin) -> AsyncIterator[RedisLink]:
    link = twin.link()
    yield link
    await link.close()


@asynccontextmanager
async def adding(twin: Twin) -> AsyncIterator[None]:
    """A node with one command."""

    async def add(request: rmb.Request) -> object:
        return {"sum": sum(request.json()), "caller": request.source}

    router = rmb.Router(twin.redis)
    router.subroute("zos").handle("calculator.add", add)
    task = asyncio.create_task(router.serve())
    try:
        yield
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def test_a_call_goes_there_and_back(alice: Twin, bob: Twin) -> None:
    async with running(alice, bob), running(bob, alice), adding(bob), await rmb.connect(alice.redis) as bus:
        assert await bus.call(bob.id, "zos.calculator.add", [1, 2], timeout=10) == {"sum": 3, "caller": 14}
        answers = await asyncio.gather(
            *(bus.call(bob.id, "zos.calculator.add", [number, 1], timeout=20) for number in range(100))
        )
    assert [answer["sum"] for answer in answers] == list(range(1, 101))
    async with linked(alice) as link:
        for key in (queues.BACKLOG, queues.DEADLINES, queues.OUTBOX, queues.taken(queues.LOCAL)):
            assert not await link.command("EXISTS", key), f"{key} keeps something"
        assert await link.command("GET", queues.counter(bob.id)) == b"101"
    async with linked(bob) as link:
        for key in (queues.PENDING, queues.PENDING_SIZES, queues.PENDING_COUNTS, queues.taken(queues.REPLY)):
            assert not await link.command("EXISTS", key), f"{key} keeps something"


async def test_a_call_to_ourselves_needs_no_network(alice: Twin) -> None:
    async with running(alice), adding(alice), await rmb.connect(alice.redis) as bus:
        assert await bus.call(alice.id, "zos.calculator.add", [2, 2], timeout=60) == {"sum": 4, "caller": 14}


async def test_an_unknown_command_below_a_router_is_answered(alice: Twin, bob: Twin) -> None:
    async with running(alice, bob), running(bob, alice), adding(bob), await rmb.connect(alice.redis) as bus:
        await bus.call(bob.id, "zos.calculator.add", [], timeout=60)
        with pytest.raises(rmb.RemoteError, match=r"^function not found$"):
            await bus.call(bob.id, "zos.does.not.exist", timeout=60)


async def test_an_error_of_the_handler_comes_back_as_it_is(alice: Twin, bob: Twin) -> None:
    async with running(alice, bob), running(bob, alice), adding(bob), await rmb.connect(alice.redis) as bus:
        with pytest.raises(rmb.RemoteError, match="internal error in zos"):
            await bus.call(bob.id, "zos.calculator.add", ["x"], timeout=60)


async def test_a_destination_that_is_down_is_told_at_once_without_retries(alice: Twin, bob: Twin) -> None:
    async with running(alice, bob), await rmb.connect(alice.redis) as bus:
        with pytest.raises(rmb.NotDelivered, match=r"all retries done: http:.*zbus-remote: Cannot connect"):
            await bus.call(bob.id, "a.b", timeout=20, retries=0)


async def test_no_retry_is_waited_for_that_would_come_too_late(alice: Twin, bob: Twin) -> None:
    async with running(alice, bob), await rmb.connect(alice.redis) as bus:
        with pytest.raises(rmb.NotDelivered):
            await bus.call(bob.id, "a.b", timeout=4, retries=5)


async def test_a_destination_that_comes_up_gets_the_second_attempt(
    alice: Twin, bob: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rmb.peer.outbox.RETRY_AFTER", 0.5)
    async with running(alice, bob), await rmb.connect(alice.redis) as bus:
        call = asyncio.create_task(bus.call(bob.id, "zos.calculator.add", [5], timeout=20, retries=5))
        await asyncio.sleep(0.3)
        async with running(bob, alice), adding(bob):
            assert (await call)["sum"] == 5


async def test_an_unknown_twin_is_told_at_once(alice: Twin) -> None:
    async with running(alice), await rmb.connect(alice.redis) as bus:
        with pytest.raises(rmb.NotDelivered, match="all retries done: twin 999 not found"):
            await bus.call(999, "a.b", timeout=20, retries=5)


async def test_a_request_without_an_answer_times_out_by_the_peer(alice: Twin, bob: Twin) -> None:
    async with running(alice, bob), running(bob, alice), await rmb.connect(alice.redis) as bus:
        with pytest.raises(rmb.CallTimeout, match=r"request timeout \(expiration reached, 1\)"):
            await bus.call(bob.id, "nobody.serves.this", timeout=1)


async def test_the_callers_peer_refused_by_the_other_side_says_why(alice: Twin, bob: Twin) -> None:
    async with running(alice, bob), running(bob), await rmb.connect(alice.redis) as bus:
        with pytest.raises(rmb.NotDelivered, match="status 400: source twin 14 not found"):
            await bus.call(bob.id, "a.b", timeout=10, retries=0)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ver": 2}, "protocol version mismatch"),
        ({"cmd": ""}, "missing command request"),
        ({"dst": []}, "missing twin destination"),
        ({"exp": -1}, "negative expiration -1"),
        ({"dst": list(range(1, 200))}, "199 destinations, at most 100 are served"),
        ({"dat": "x" * 1_100_000}, "at most 1048576 are carried"),
    ],
)
async def test_a_local_request_that_is_none_is_answered(
    alice: Twin, change: dict[str, object], reason: str
) -> None:
    message = json.loads(_local(alice).to_json()) | change
    async with running(alice), linked(alice) as link:
        await link.command("RPUSH", queues.LOCAL, json.dumps(message))
        answer = await pop(link, message["ret"])
        assert answer.error.startswith("received invalid message: ")
        assert reason in answer.error


def _local(*destinations: Twin, now: int = 0, expiration: int = 3600) -> Message:
    """What the Go client of 2022 pushes."""
    return Message(
        command="a.b",
        expiration=expiration,
        destinations=tuple(twin.id for twin in destinations),
        reply_to=str(uuid.uuid4()),
        data="bnVsbA==",
        now=now,
    )


@pytest.mark.parametrize("push", ["LPUSH", "RPUSH"])
async def test_a_foreign_client_and_a_foreign_service_work_at_either_end(
    alice: Twin, bob: Twin, push: str
) -> None:
    async with running(alice, bob), running(bob, alice), linked(alice) as here, linked(bob) as there:
        service = asyncio.create_task(serve_echo(there))
        for _ in range(3):
            request = _local(bob)
            await here.command(push, queues.LOCAL, request.to_json())
            answer = await pop(here, request.reply_to)
            assert (answer.source, answer.destinations, answer.data) == (bob.id, (alice.id,), "bnVsbA==")
            assert answer.reply_to == request.reply_to
        service.cancel()


async def test_the_wire_message_is_as_the_specification_says(alice: Twin, bob: Twin) -> None:
    async with running(alice, bob), running(bob, alice), linked(alice) as here, linked(bob) as there:
        await here.command("RPUSH", queues.LOCAL, _local(bob).to_json())
        seen = await pop(there, queues.command("a.b"))
        assert (seen.uid, seen.source, seen.destinations) == ("55.1", alice.id, (bob.id,))
        assert (seen.reply_to, seen.proxied, seen.expiration) == (queues.REPLY, False, 3600)
        assert abs(seen.now - time.time()) < 5
        assert seen.signature.startswith("65")
        waiting = Message.from_json(await here.command("HGET", queues.BACKLOG, "55.1"))
        assert (waiting.uid, waiting.source, waiting.now > 0) == ("", 0, True)


async def test_several_destinations_answer_on_one_list(alice: Twin, bob: Twin) -> None:
    async with running(alice, bob), running(bob, alice), linked(alice) as here, linked(bob) as there:
        services = [asyncio.create_task(serve_echo(link)) for link in (here, there)]
        request = _local(alice, bob)
        await here.command("RPUSH", queues.LOCAL, request.to_json())
        answers = [await pop(here, request.reply_to) for _ in range(2)]
        assert {answer.source for answer in answers} == {alice.id, bob.id}
        for service in services:
            service.cancel()


async def test_an_expired_local_request_is_answered(alice: Twin, bob: Twin) -> None:
    async with running(alice, bob), linked(alice) as link:
        request = _local(bob, now=int(time.time()) - 100, expiration=10)
        await link.command("RPUSH", queues.LOCAL, request.to_json())
        assert (await pop(link, request.reply_to)).error == "request timeout (expiration reached, 10)"


async def test_a_tag_stays_at_home_and_comes_back(alice: Twin, bob: Twin) -> None:
    async with running(alice, bob), running(bob, alice), linked(alice) as here, linked(bob) as there:
        message = json.loads(_local(bob).to_json()) | {"tag": "mine"}
        await here.command("RPUSH", queues.LOCAL, json.dumps(message))
        request = await pop(there, queues.command("a.b"))
        assert request.tag is None
        await there.command("LPUSH", queues.REPLY, request.reply(int(time.time()), b"1").to_json())
        assert (await pop(here, message["ret"])).tag == "mine"


async def test_a_full_backlog_is_an_answer_not_a_loss(alice: Twin, bob: Twin) -> None:
    limits = LimitsSection(backlog=3)
    async with running(alice, bob, limits=limits), running(bob, alice), linked(alice) as link:
        requests = [_local(bob) for _ in range(4)]
        for request in requests:
            await link.command("RPUSH", queues.LOCAL, request.to_json())
        answer = await pop(link, requests[3].reply_to)
        assert (
            answer.error == "received invalid message: too many requests wait for an answer; try again later"
        )


async def test_garbage_in_the_lists_stops_nothing(alice: Twin, bob: Twin) -> None:
    async with running(alice, bob), running(bob, alice), adding(bob), linked(alice) as link:
        for queue in (queues.LOCAL, queues.REPLY):
            for garbage in (b"", b"null", b"[]", b'{"dst":"x"}', b"\xff\xfe", b"{" * 1000):
                await link.command("LPUSH", queue, garbage)
        async with await rmb.connect(alice.redis) as bus:
            assert (await bus.call(bob.id, "zos.calculator.add", [1], timeout=10))["sum"] == 1
        assert await link.command("LLEN", queues.taken(queues.LOCAL)) == 0
        assert await link.command("LLEN", queues.taken(queues.REPLY)) == 0
