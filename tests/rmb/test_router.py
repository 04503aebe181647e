"""Services behind a real Redis, with the test in the place of the peer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

import rmb
from rmb import queues
from rmb.gen1.message import Message
from rmb.list_reader import ListReader
from rmb.redis_link import RedisAddress, RedisLink
from tests.rmb.blocking_pop import blocking_pop

REQUEST = Message(uid="7.1", command="", expiration=30, source=14, destinations=(7,), reply_to=queues.REPLY)


@asynccontextmanager
async def serving(router: rmb.Router) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(router.serve())
    try:
        yield task
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


async def ask(
    link: RedisLink, command: str, payload: object = None, queue: str = "", **changes: object
) -> Message:
    request = replace(REQUEST, command=command, now=int(time.time()), **changes)  # type: ignore[arg-type]
    await push(link, request.with_payload(json.dumps(payload).encode()), queue)
    return await answer(link)


async def push(link: RedisLink, request: Message, queue: str = "") -> None:
    await link.command("LPUSH", queue or queues.command(request.command), request.to_json())


async def answer(link: RedisLink) -> Message:
    return Message.from_json(await blocking_pop(link, queues.REPLY, 60))


async def test_a_handler_gets_caller_command_payload_and_deadline(link: RedisLink) -> None:
    seen: list[rmb.Request] = []

    async def handler(request: rmb.Request) -> object:
        seen.append(request)
        return {"sum": sum(request.json())}

    router = rmb.Router(link)
    router.subroute("zos").handle("calculator.add", handler)
    async with serving(router):
        reply = await ask(link, "zos.calculator.add", [1, 2])
    assert json.loads(reply.payload()) == {"sum": 3}
    assert (reply.source, reply.destinations, reply.uid, reply.error) == (7, (14,), "7.1", "")
    (request,) = seen
    assert (request.source, request.command, request.payload) == (14, "zos.calculator.add", b"[1, 2]")
    assert 28 < request.expires_at - time.time() <= 30


async def test_nothing_is_answered_as_null_and_bytes_as_they_are(link: RedisLink) -> None:
    async def nothing(request: rmb.Request) -> None:
        return None

    async def ready(request: rmb.Request) -> bytes:
        return b'{"a": 1}'

    router = rmb.Router(link)
    router.handle("nothing", nothing)
    router.handle("ready", ready)
    async with serving(router):
        assert (await ask(link, "nothing")).payload() == b"null"
        assert (await ask(link, "ready")).payload() == b'{"a": 1}'


async def test_designed_errors_are_told_and_others_are_not(link: RedisLink) -> None:
    class Designed(Exception):
        pass

    async def refuse(request: rmb.Request) -> None:
        raise rmb.HandlerError("deployment not found")

    async def designed(request: rmb.Request) -> None:
        raise Designed("name cannot be empty")

    async def broken(request: rmb.Request) -> None:
        raise KeyError("secret")

    async def impatient(request: rmb.Request) -> None:
        raise TimeoutError

    router = rmb.Router(link, designed_errors=(Designed,))
    for handler in (refuse, designed, broken, impatient):
        router.handle(handler.__name__, handler)
    async with serving(router):
        assert (await ask(link, "refuse")).error == "deployment not found"
        assert (await ask(link, "designed")).error == "name cannot be empty"
        reply = await ask(link, "broken")
        assert reply.error == "internal error in broken; the log of the service has it as 7.1"
        assert reply.data == ""
        assert "internal error in impatient" in (await ask(link, "impatient")).error


async def test_middlewares_run_before_the_look_up(link: RedisLink) -> None:
    async def nobody(request: rmb.Request) -> None:
        raise rmb.HandlerError("unauthorized")

    async def handler(request: rmb.Request) -> str:
        return "in"

    router = rmb.Router(link, not_found="function is not found")
    zos = router.subroute("zos")
    zos.handle("open", handler)
    zos.subroute("admin").handle("interfaces", handler)
    zos.subroute("admin").use(nobody)
    async with serving(router):
        assert (await ask(link, "zos.open")).payload() == b'"in"'
        assert (await ask(link, "zos.admin.interfaces")).error == "unauthorized"
        assert (await ask(link, "zos.admin.nope", queue="msgbus.zos")).error == "unauthorized"
        assert (await ask(link, "zos.nope", queue="msgbus.zos")).error == "function is not found"


async def test_an_expired_request_is_answered_but_not_executed(link: RedisLink) -> None:
    calls = 0

    async def handler(request: rmb.Request) -> None:
        nonlocal calls
        calls += 1

    router = rmb.Router(link)
    router.handle("do", handler)
    async with serving(router):
        await push(link, replace(REQUEST, command="do", now=int(time.time()) - 31))
        assert (await answer(link)).error.startswith("message has expired: sent at ")
    assert calls == 0


async def test_a_handler_ends_with_the_life_of_its_request(link: RedisLink) -> None:
    cancelled = asyncio.Event()

    async def slow(request: rmb.Request) -> None:
        try:
            await asyncio.sleep(60)
        finally:
            cancelled.set()

    router = rmb.Router(link)
    router.handle("slow", slow)
    async with serving(router):
        reply = await ask(link, "slow", expiration=1)
    assert reply.error == "not done within the lifetime of the call, 1 s"
    assert cancelled.is_set()


async def test_an_answer_beyond_the_limit_becomes_an_error_that_names_it(link: RedisLink) -> None:
    async def big(request: rmb.Request) -> str:
        return "x" * 1_000_000

    router = rmb.Router(link)
    router.handle("big", big)
    async with serving(router):
        assert "a message may have 1048576" in (await ask(link, "big")).error


async def test_requests_run_side_by_side_and_garbage_stops_nothing(link: RedisLink) -> None:
    together = asyncio.Barrier(3)

    async def meet(request: rmb.Request) -> None:
        await together.wait()

    router = rmb.Router(link)
    router.handle("meet", meet)
    async with serving(router):
        await link.command("LPUSH", "msgbus.meet", b"no json")
        for number in range(3):
            await push(link, replace(REQUEST, command="meet", uid=f"7.{number}", now=int(time.time())))
        assert {(await answer(link)).uid for _ in range(3)} == {"7.0", "7.1", "7.2"}


async def test_a_stopped_router_answers_what_it_could_not_finish(
    link: RedisLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rmb.router.DRAIN", 0.1)
    started = asyncio.Event()

    async def slow(request: rmb.Request) -> None:
        started.set()
        await asyncio.sleep(60)

    router = rmb.Router(link)
    router.handle("slow", slow)
    async with serving(router):
        await push(link, replace(REQUEST, command="slow", now=int(time.time())))
        await started.wait()
    assert (await answer(link)).error == "interrupted: the service is stopping; ask again"


async def test_what_a_killed_router_worked_on_is_answered_by_the_next(
    link: RedisLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rmb.presence.LIFE", -1)
    dead = rmb.presence.Presence(link, "dead", ["slow"])
    await dead.beat()
    await dead.begin(1, replace(REQUEST, command="slow", now=int(time.time())).to_json())
    router = rmb.Router(link)
    router.handle("slow", lambda request: asyncio.sleep(0))
    async with serving(router):
        reply = await answer(link)
    assert reply.uid == "7.1"
    assert reply.error == "interrupted: the service died while it worked on this; ask again"


async def test_a_cancelled_read_loses_nothing(link: RedisLink) -> None:
    """A hundred reads are cancelled at every stage while elements come in; each element is still there or was seen."""
    seen: set[bytes] = set()
    reader = ListReader(link, ["a", "b"])
    for number in range(100):
        task = asyncio.create_task(reader.take())
        await asyncio.sleep(0.001 * (number % 4))
        pushed = asyncio.create_task(link.command("LPUSH", "ab"[number % 2], f"{number}"))
        await asyncio.sleep(0)
        if number % 3 == 0:
            await pushed
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            found = await task
            assert found is not None
            seen.add(found[1])
        await pushed
    for queue in "ab":
        seen.update(await link.command("LRANGE", queue, 0, -1))
    await reader.close()
    assert seen == {f"{number}".encode() for number in range(100)}
    clients = (await link.command("CLIENT", "LIST")).decode().splitlines()
    assert not [client for client in clients if "cmd=brpop" in client], "a connection stayed half open"


async def test_a_client_that_hears_nothing_times_out(redis_socket: str, link: RedisLink) -> None:
    async with await rmb.connect(f"unix://{redis_socket}") as client:
        with pytest.raises(rmb.CallTimeout, match="no word from the local peer"):
            await client.call(7, "a.b", timeout=0.2)
        with pytest.raises(ValueError, match="timeout"):
            await client.call(7, "a.b", timeout=0)
        with pytest.raises(rmb.NotDelivered, match="a message may have 1048576"):
            await client.call(7, "a.b", "x" * 1_100_000)


async def test_cancelled_calls_leave_no_connection_behind(redis_socket: str, link: RedisLink) -> None:
    async with await rmb.connect(redis_socket) as client:
        calls = [asyncio.create_task(client.call(7, "a.b", timeout=60)) for _ in range(30)]
        await asyncio.sleep(0.2)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        await asyncio.sleep(0.1)
        clients = (await link.command("CLIENT", "LIST")).decode().splitlines()
        assert not [one for one in clients if "cmd=blpop" in one]
        with pytest.raises(rmb.CallTimeout):
            await client.call(7, "a.b", timeout=0.1)


async def test_more_calls_than_slots_wait_their_turn(
    redis_socket: str, link: RedisLink, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rmb.client.MAX_CALLS", 1)
    async with await rmb.connect(redis_socket) as client:
        first = asyncio.create_task(client.call(7, "a.b", timeout=5))
        await asyncio.sleep(0.05)
        with pytest.raises(rmb.CallTimeout, match="1 other calls are in flight"):
            await client.call(7, "a.b", timeout=0.1)
        first.cancel()


async def test_no_redis_is_named(tmp_path: object) -> None:
    with pytest.raises(rmb.BusUnavailable, match="is redis-server running there"):
        await rmb.connect(f"{tmp_path}/nothing.sock")


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/run/r.sock", "unix:///run/r.sock"),
        ("unix:///run/r.sock", "unix:///run/r.sock"),
        ("tcp://127.0.0.1:6379", "redis://127.0.0.1:6379/0"),
        ("redis://user:word@[::1]:7/3", "redis://::1:7/3"),
    ],
)
def test_addresses_of_redis(text: str, shown: str) -> None:
    assert str(RedisAddress.parse(text)) == shown


def test_a_bad_address_of_redis_is_refused_without_its_password() -> None:
    with pytest.raises(ValueError, match=r"http://\*\*\*@host"):
        RedisAddress.parse("http://:secret@host")
