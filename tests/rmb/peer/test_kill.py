"""kill -9 of rmb-peer at any time: what it accepted is not lost, and everybody gets an answer."""

from __future__ import annotations

import asyncio
import random
import signal
import time
import uuid
from dataclasses import replace
from pathlib import Path

from rmb import queues
from rmb.gen1.message import Message
from rmb.redis_link import RedisLink
from tests.rmb.peer.peer_process import PeerProcess, peer_process
from tests.rmb.peer.world import Twin, pop, post, request_of, running, serve_echo, until_listening


async def refuse_service(twin: Twin) -> asyncio.Server:
    """Something that accepts connections in the place of the twin's peer and never answers."""

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    host, _, port = twin.address.partition(":")
    return await asyncio.start_server(swallow, host, int(port))


async def test_a_request_in_flight_survives_the_peer(tmp_path: Path, alice: Twin, bob: Twin) -> None:
    here, there = alice.link(), bob.link()
    tarpit = await refuse_service(bob)
    request = Message(
        command="a.b", destinations=(bob.id,), reply_to=str(uuid.uuid4()), expiration=60, data="MQ=="
    )
    with peer_process(tmp_path, alice, bob) as peer:
        await here.command("RPUSH", queues.LOCAL, request.to_json())
        while not await here.command("HEXISTS", queues.OUTBOX, "55.1"):
            await asyncio.sleep(0.02)
        peer.kill()
        tarpit.close()
        peer.start()
        async with running(bob, alice):
            service = asyncio.create_task(serve_echo(there))
            answer = await pop(here, request.reply_to, timeout=60)
            service.cancel()
    assert (answer.source, answer.data) == (bob.id, "MQ==")
    await here.close()
    await there.close()


async def test_a_reply_survives_the_peer(tmp_path: Path, alice: Twin, bob: Twin) -> None:
    """The service has answered, the caller's peer cannot be reached, ours is killed; then both come back."""
    there = bob.link()
    tarpit = await refuse_service(alice)
    with peer_process(tmp_path, bob, alice) as peer:
        await until_listening(bob.address)
        assert (await post(bob, "/zbus-remote", request_of(alice, bob)))[0] == 200
        request = await pop(there, "msgbus.a.b")
        await there.command("LPUSH", queues.REPLY, request.reply(int(time.time()), b"1").to_json())
        while not await there.command("LLEN", queues.taken(queues.REPLY)):
            await asyncio.sleep(0.02)
        peer.kill()
        tarpit.close()
        here = alice.link()
        await here.command("HSET", queues.BACKLOG, "55.1", replace(request, reply_to="mine").to_json())
        async with running(alice, bob):
            peer.start()
            answer = await pop(here, "mine", timeout=60)
    assert (answer.source, answer.data) == (bob.id, "MQ==")
    await here.close()
    await there.close()


async def test_killed_again_and_again_every_request_has_one_answer(
    tmp_path: Path, alice: Twin, bob: Twin
) -> None:
    count = 150
    here, there = alice.link(), bob.link()
    requests = [
        Message(command="a.b", destinations=(bob.id,), reply_to=str(uuid.uuid4()), expiration=600, retries=20)
        for _ in range(count)
    ]
    with peer_process(tmp_path, alice, bob) as ours, peer_process(tmp_path, bob, alice) as theirs:
        service = asyncio.create_task(serve_echo(there))
        for number, request in enumerate(requests):
            await here.command("RPUSH", queues.LOCAL, request.to_json())
            if number % 40 == 25:
                await kill_and_start(ours)
            if number % 60 == 30:
                await kill_and_start(theirs)
            await asyncio.sleep(0.005)
        answers = [await pop(here, request.reply_to, timeout=180) for request in requests]
        service.cancel()
    assert [answer.error for answer in answers if answer.error] == []
    for request in requests:
        assert await here.command("LLEN", request.reply_to) == 0, "a request was answered twice"
    assert not await here.command("EXISTS", queues.BACKLOG, queues.OUTBOX, queues.taken(queues.LOCAL))
    await here.close()
    await there.close()


async def kill_and_start(peer: PeerProcess) -> None:
    await until_listening(peer.twin.address)
    await asyncio.sleep(random.uniform(0, 0.2))
    await asyncio.to_thread(peer.kill)
    peer.start()


async def test_a_peer_that_is_told_to_stop_ends_well(tmp_path: Path, alice: Twin) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        with peer_process(tmp_path, alice) as peer:
            await until_listening(alice.address)
            assert await asyncio.to_thread(peer.signal, number) == 0
            assert alice.identity.public_key.hex() not in peer.log


async def test_redis_may_come_later(tmp_path: Path, alice: Twin, link: RedisLink) -> None:
    """The peer starts before its Redis does."""
    from tests.rmb.redis_server import redis_server

    with redis_server() as path:
        pass
    late = replace(alice, redis=f"unix://{path}")
    with peer_process(tmp_path, late) as peer:
        await until_listening(late.address)
        await asyncio.sleep(0.3)
        assert "is redis-server running there" in peer.log
        assert (await post(late, "/zbus-remote", request_of(late, late)))[0] == 500
