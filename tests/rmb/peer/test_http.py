"""The four paths as other daemons and proxies see them: statuses, bodies, and what is never let in."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from dataclasses import replace

import aiohttp
import pytest

from gridtypes import TwinId
from rmb import queues
from rmb.gen1.message import Message
from rmb.gen1.signature import verify
from rmb.gen1.uid import is_uuid4
from rmb.peer.config import LimitsSection
from rmb.peer.directory import DirectoryUnavailable
from rmb.redis_link import RedisLink
from tests.rmb.peer.world import Twin, error_in, pop, post, request_of, running, serve_echo

ACCEPTED = (200, '{"status": "accepted"}')


async def length(twin: Twin, queue: str) -> int:
    link = twin.link()
    try:
        return int(await link.command("LLEN", queue))
    finally:
        await link.close()


@pytest.mark.parametrize("path", ["/zbus-remote", "/rmb-remote"])
async def test_a_signed_request_is_accepted_and_reaches_its_service(
    alice: Twin, bob: Twin, path: str
) -> None:
    async with running(bob, alice):
        request = request_of(alice, bob, schema="s", retries=2)
        assert await post(bob, path, request) == ACCEPTED
        link = bob.link()
        assert await pop(link, "msgbus.a.b") == request
        await link.close()


async def test_the_method_does_not_matter_and_other_paths_do_not_exist(alice: Twin, bob: Twin) -> None:
    async with running(bob, alice), aiohttp.ClientSession() as session:
        async with session.put(f"{bob.url}/zbus-remote", data=request_of(alice, bob).to_json()) as response:
            assert response.status == 200
        for path in ("/", "/zbus-upload", "/zbus-remote/x"):
            async with session.post(f"{bob.url}{path}") as response:
                assert (response.status, await response.text()) == (404, "404 page not found\n")


@pytest.mark.parametrize("path", ["/zbus-remote", "/zbus-reply", "/zbus-cmd"])
async def test_what_is_refused_and_how(alice: Twin, bob: Twin, mallory: Twin, path: str) -> None:
    now = int(time.time())
    good = request_of(alice, bob)
    cases: list[tuple[bytes | Message, str]] = [
        (b"", "couldn't parse json"),
        (b"\xff", "couldn't parse json"),
        (b'{"ver":"1"}', "couldn't parse json"),
        (request_of(alice, bob, now=now - 62), "message is too old, sent since 1m"),
        (request_of(alice, bob, now=0), "message is too old, sent since "),
        (request_of(alice, bob, now=now + 64), "message is from the future, sent time: "),
        (request_of(alice, alice), "invalid destination twin 14"),
        (request_of(alice, bob, destinations=()), "invalid destination twin 0"),
        (request_of(alice, bob, version=2), "protocol version mismatch: 2, expected 1"),
        (request_of(mallory, bob), "source twin 66 not found"),
        (mallory.sign(good), "couldn't verify signature"),
        (replace(good, data="e30="), "couldn't verify signature"),
        (
            replace(good, signature=""),
            "signature field is empty, visit the project github repo for instructions",
        ),
        (replace(good, signature="xx"), "couldn't decode signature: "),
        (replace(good, signature="77" + good.signature[2:]), "unrecognized signature prefix 77"),
        (
            replace(good, signature=good.signature[:-2]),
            "couldn't decode signature: expected 65 bytes, found 64",
        ),
    ]
    async with running(bob, alice):
        for body, text in cases:
            status, answer = await post(bob, path, body)
            assert status == 400, (text, answer)
            assert error_in(answer).startswith(text)
            assert answer.endswith("\n")
        assert await length(bob, "msgbus.a.b") == 0


async def test_messages_at_the_border_of_freshness_are_accepted(alice: Twin, bob: Twin) -> None:
    async with running(bob, alice):
        for ahead in (-58, 58):
            request = request_of(alice, bob, now=int(time.time()) + ahead)
            assert await post(bob, "/zbus-remote", request) == ACCEPTED


async def test_a_replayed_message_is_refused_on_every_path_also_after_a_restart(
    alice: Twin, bob: Twin
) -> None:
    request = request_of(alice, bob)
    async with running(bob, alice):
        assert await post(bob, "/zbus-remote", request) == ACCEPTED
        # What is not signed makes no other message of it.
        for again in (request, replace(request, expiration=99, retries=9, error="x")):
            for path in ("/zbus-remote", "/zbus-cmd"):
                status, answer = await post(bob, path, again)
                assert (status, error_in(answer)) == (400, "message was received before")
    async with running(bob, alice):
        status, answer = await post(bob, "/zbus-remote", request)
        assert (status, error_in(answer)) == (400, "message was received before")
    assert await length(bob, "msgbus.a.b") == 1


async def test_the_memory_of_a_message_goes_when_it_can_no_longer_be_fresh(alice: Twin, bob: Twin) -> None:
    request = request_of(alice, bob)
    async with running(bob, alice):
        await post(bob, "/zbus-remote", request)
    link = bob.link()
    expires = await link.command("EXPIRETIME", queues.replay(alice.id, request.challenge().hex()))
    await link.close()
    assert expires == request.now + 61


async def test_a_chain_that_cannot_be_read_is_a_bad_gateway(alice: Twin, bob: Twin) -> None:
    class Away:
        async def public_key(self, twin: TwinId) -> bytes | None:
            raise DirectoryUnavailable("no endpoint answers")

        async def twin_of(self, public_key: bytes) -> TwinId | None:
            raise DirectoryUnavailable("no endpoint answers")

    async with running(bob, alice, directory=Away()):
        status, answer = await post(bob, "/zbus-remote", request_of(alice, bob))
        assert (status, error_in(answer)) == (502, "couldn't get twin 14 public key: no endpoint answers")


async def test_a_body_beyond_the_limit_is_refused_by_name(alice: Twin, bob: Twin) -> None:
    async with running(bob, alice):
        status, answer = await post(bob, "/zbus-remote", request_of(alice, bob, data="A" * 1_048_576))
        assert (status, error_in(answer)) == (413, "the body is larger than 1048576 bytes")
        assert await post(bob, "/zbus-remote", request_of(alice, bob, data="A" * 1_000_000)) == ACCEPTED


async def test_one_twin_cannot_fill_the_node(
    alice: Twin, bob: Twin, mallory: Twin, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rmb.peer.replies.PAUSES", (0.1,))
    async with running(bob, alice, mallory, limits=LimitsSection(pending_per_twin=3)):
        for number in range(3):
            assert await post(bob, "/zbus-remote", request_of(alice, bob, uid=f"55.{number}")) == ACCEPTED
        status, answer = await post(bob, "/zbus-remote", request_of(alice, bob, uid="55.9"))
        assert (status, error_in(answer)[:32]) == (429, "too many requests of twin 14 wai")
        assert await post(bob, "/zbus-remote", request_of(mallory, bob)) == ACCEPTED
        link = bob.link()
        service = asyncio.create_task(serve_echo(link))
        while await link.command("ZCARD", queues.PENDING):
            await asyncio.sleep(0.02)
        service.cancel()
        assert await post(bob, "/zbus-remote", request_of(alice, bob, uid="55.10")) == ACCEPTED
        await link.close()


async def test_a_twin_that_takes_no_replies_fills_nothing(alice: Twin, bob: Twin) -> None:
    """Alice asks, bob's service answers, alice's peer is down: her requests count until the reply is given up."""
    async with running(bob, alice, limits=LimitsSection(pending_per_twin=2)):
        link = bob.link()
        service = asyncio.create_task(serve_echo(link))
        for number in range(2):
            assert await post(bob, "/zbus-remote", request_of(alice, bob, uid=f"55.{number}")) == ACCEPTED
        while await link.command("LLEN", queues.taken(queues.REPLY)) < 2:
            await asyncio.sleep(0.02)
        assert (await post(bob, "/zbus-remote", request_of(alice, bob, uid="55.9")))[0] == 429
        service.cancel()
        await link.close()


async def test_the_list_of_a_command_is_bounded_and_a_refusal_leaves_no_trace(alice: Twin, bob: Twin) -> None:
    async with running(bob, alice, limits=LimitsSection(unread=2)):
        for number in range(2):
            assert await post(bob, "/zbus-remote", request_of(alice, bob, uid=f"55.{number}")) == ACCEPTED
        refused = request_of(alice, bob, uid="55.9")
        status, _ = await post(bob, "/zbus-remote", refused)
        assert status == 503
        link = bob.link()
        await pop(link, "msgbus.a.b")
        await link.close()
        assert await post(bob, "/zbus-remote", refused) == ACCEPTED


async def test_what_expired_unread_is_cleared(alice: Twin, bob: Twin) -> None:
    async with running(bob, alice):
        assert await post(bob, "/zbus-remote", request_of(alice, bob, uid="55.1", expiration=1)) == ACCEPTED
        assert await post(bob, "/zbus-remote", request_of(alice, bob, uid="55.2", command="c")) == ACCEPTED
        await asyncio.sleep(2.1)
        assert await post(bob, "/zbus-remote", request_of(alice, bob, uid="55.3", command="d")) == ACCEPTED
        link = bob.link()
        assert not await link.command("EXISTS", "msgbus.a.b")
        assert await link.command("ZRANGE", queues.PENDING, 0, -1) == [b"14 55.2", b"14 55.3"]
        await link.close()


async def test_a_reply_is_only_taken_from_the_twin_that_was_asked(
    alice: Twin, bob: Twin, mallory: Twin
) -> None:
    """A local client of alice asks bob; mallory, a known twin, answers in his place."""
    async with running(alice, bob, mallory):
        link = alice.link()
        request = Message(command="a.b", destinations=(bob.id,), reply_to="mine", expiration=60, retries=1)
        await link.command("RPUSH", queues.LOCAL, request.to_json())
        while not await link.command("HEXISTS", queues.BACKLOG, "55.1"):
            await asyncio.sleep(0.01)
        forged = request_of(mallory, alice, uid="55.1", data="Zm9yZ2Vk")
        assert await post(alice, "/zbus-reply", forged) == ACCEPTED
        assert await link.command("LLEN", "mine") == 0
        # Nor can a reply name its list: `pxy` counts only from our own services.
        injected = request_of(bob, alice, uid="1.1", proxied=True, reply_to=queues.LOCAL)
        assert await post(alice, "/zbus-reply", injected) == ACCEPTED
        assert await link.command("LLEN", queues.LOCAL) == 0
        assert await post(alice, "/zbus-reply", request_of(bob, alice, uid="55.1", data="MQ==")) == ACCEPTED
        answer = await pop(link, "mine")
        assert (answer.source, answer.data) == (bob.id, "MQ==")
        assert await link.command("TTL", "mine") <= 1800
        # The second reply finds nobody.
        assert await post(alice, "/zbus-reply", request_of(bob, alice, uid="55.1", data="Mg==")) == ACCEPTED
        assert await link.command("LLEN", "mine") == 0
        await link.close()


async def test_a_proxy_asks_and_fetches_the_result(alice: Twin, bob: Twin) -> None:
    async with running(bob, alice):
        link = bob.link()
        status, body = await post(
            bob, "/zbus-cmd", request_of(alice, bob, uid="", data="eyJhIjoxfQ==", reply_to="x")
        )
        assert status == 200
        queue = json.loads(body)["retqueue"]
        assert is_uuid4(queue)
        wanted = json.dumps({"retqueue": queue}).encode()
        assert await post(bob, "/zbus-result", wanted) == (200, "[]")
        request = await pop(link, "msgbus.a.b")
        assert (request.proxied, request.reply_to) == (True, queue)
        await link.command("LPUSH", queues.REPLY, request.reply(5, request.payload()).to_json())
        while (answer := await post(bob, "/zbus-result", wanted))[1] == "[]":
            await asyncio.sleep(0.02)
        (reply,) = json.loads(answer[1])
        assert (reply["dat"], reply["pxy"], reply["src"], reply["dst"]) == (
            '{"a":1}',
            True,
            bob.id,
            [alice.id],
        )
        assert abs(reply["now"] - time.time()) < 5
        shown = Message.from_json(json.dumps(reply))
        verify(shown.challenge(), shown.signature, bob.identity.public_key)
        assert len(json.loads((await post(bob, "/zbus-result", wanted))[1])) == 1, "the result was consumed"
        assert 0 < await link.command("TTL", queue) <= 1800
        assert not await link.command("EXISTS", queues.PENDING_COUNTS)
        await link.close()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (b"", "couldn't parse json"),
        (b"[]", "couldn't parse json"),
        (b'{"retqueue":7}', "couldn't parse json"),
        (b"{}", "Invalid Retqueue, it should be a valid UUID"),
        (b'{"retqueue":"msgbus.system.local"}', "Invalid Retqueue, it should be a valid UUID"),
        (
            b'{"retqueue":"5e6c6f7e-58d6-1b8e-8df2-0d5a6a9f2c11"}',
            "Invalid Retqueue, it should be a valid UUID",
        ),
    ],
)
async def test_a_result_is_asked_for_by_a_uuid(bob: Twin, body: bytes, text: str) -> None:
    async with running(bob):
        status, answer = await post(bob, "/zbus-result", body)
        assert (status, error_in(answer)) == (400, text)


async def test_a_service_cannot_name_any_list_as_proxied(bob: Twin, alice: Twin) -> None:
    async with running(bob, alice):
        link: RedisLink = bob.link()
        reply = request_of(bob, alice, proxied=True, reply_to=queues.LOCAL)
        await link.command("LPUSH", queues.REPLY, reply.to_json())
        while await link.command("LLEN", queues.REPLY) or await link.command(
            "LLEN", queues.taken(queues.REPLY)
        ):
            await asyncio.sleep(0.01)
        assert await link.command("LLEN", queues.LOCAL) == 0
        await link.close()


async def test_a_slow_body_is_given_up(alice: Twin, bob: Twin, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rmb.peer.server.BODY_TIMEOUT", 0.2)
    async with running(bob, alice):
        host, _, port = bob.address.partition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"POST /zbus-remote HTTP/1.1\r\nHost: b\r\nContent-Length: 100\r\n\r\n{")
        status = await asyncio.wait_for(reader.readline(), 5)
        assert b"408" in status
        writer.close()


async def test_idle_connections_are_cut_and_cannot_keep_others_out(alice: Twin, bob: Twin) -> None:
    async with running(bob, alice, limits=LimitsSection(connections=5)):
        host, _, port = bob.address.partition(":")
        idle = [await asyncio.open_connection(host, int(port)) for _ in range(20)]
        await asyncio.sleep(2.2)
        cut = 0
        for reader, _writer in idle:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.01):
                    cut += await reader.read() == b""
        assert cut >= 15
        assert await post(bob, "/zbus-remote", request_of(alice, bob)) == ACCEPTED
        for _reader, writer in idle:
            writer.close()
