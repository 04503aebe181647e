"""Closed loops of requests and answers between connected peers of a relay, and what they cost.

Each message is a request that the other side answers: both are counted.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

import aiohttp
import psutil
import redis.asyncio as aioredis
from aiohttp import web

from rmb.gen2.session import Session
from tests.rmb.relay.grid import Peer, message, peer

SECONDS = 4.0
STORED = 1000


@dataclass(frozen=True)
class Result:
    """Messages per second, and milliseconds for a request and its answer."""

    rate: float
    p50: float
    p99: float
    relay_cpu: float
    """Processors that the relay and its Redis used; 0 when their process numbers were not given."""
    own_cpu: float


async def answer(peer: Peer) -> None:
    """Send everything back to whom it came from; the bytes are made beforehand."""
    replies: dict[int, bytes] = {}
    socket = peer.socket
    async for received in socket:
        number = int(received.data[-6:])
        if number not in replies:
            replies[number] = message(peer.session, Session(1, f"a{number}"), f"{number:06}")
        await socket.send_bytes(replies[number])


async def ask(peer: Peer, to: Session, number: int, in_flight: int, until: float, times: list[float]) -> int:
    """Requests with `in_flight` of them under way; how many were answered."""
    raw, socket, done = message(peer.session, to, f"{number:06}"), peer.socket, 0
    sent: list[float] = []
    for _ in range(in_flight):
        sent.append(time.perf_counter())
        await socket.send_bytes(raw)
    while time.perf_counter() < until:
        await socket.receive()
        now = time.perf_counter()
        times.append(now - sent.pop(0))
        done += 1
        sent.append(now)
        await socket.send_bytes(raw)
    for _ in range(in_flight):
        await socket.receive()
    return done


async def load(url: str, pairs: int, in_flight: int, pids: Sequence[int]) -> Result:
    """`pairs` of sessions, each a closed loop; `pids` are the relay's processes, with its Redis."""
    async with AsyncExitStack() as stack:
        asking = [await stack.enter_async_context(peer(url, 1, f"a{n}")) for n in range(pairs)]
        answering = [await stack.enter_async_context(peer(url, 2, f"b{n}")) for n in range(pairs)]
        servers = [asyncio.create_task(answer(each)) for each in answering]
        times: list[float] = []
        theirs = processor_seconds(pids)
        ours, started = time.process_time(), time.perf_counter()
        until = started + SECONDS
        counts = await asyncio.gather(
            *(ask(each, Session(2, f"b{n}"), n, in_flight, until, times) for n, each in enumerate(asking))
        )
        passed = time.perf_counter() - started
        own = (time.process_time() - ours) / passed
        used = (processor_seconds(pids) - theirs) / passed
        for server in servers:
            server.cancel()
    times.sort()
    return Result(
        2 * sum(counts) / passed,
        statistics.median(times) * 1000,
        times[int(len(times) * 0.99)] * 1000,
        used,
        own,
    )


def processor_seconds(pids: Sequence[int]) -> float:
    """What these processes used so far."""
    times = [psutil.Process(pid).cpu_times() for pid in pids]
    return float(sum(each.user + each.system for each in times))


def resident(pids: Sequence[int]) -> int:
    """Bytes of memory that these processes hold."""
    return sum(psutil.Process(pid).memory_info().rss for pid in pids)


async def drain(url: str) -> float:
    """Milliseconds from the connection of an absent peer until it has what was stored for it."""
    async with peer(url, 1, "storing") as sender:
        for number in range(STORED):
            await sender.send(Session(3, "drain"), f"stored {number}")
        await sender.send(Session(1, "storing"))
        await sender.receive()
        await asyncio.sleep(2)  # what is written behind is written then
    started = time.perf_counter()
    async with peer(url, 3, "drain") as receiver:
        for _ in range(STORED):
            await receiver.receive()
        return (time.perf_counter() - started) * 1000


async def echo(in_flight: int) -> float:
    """Messages per second of a bare echo with one connection, both ways counted, in this one process."""

    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(compress=False)
        await socket.prepare(request)
        async for received in socket:
            await socket.send_bytes(received.data)
        return socket

    app = web.Application()
    app.router.add_get("/", serve)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    raw = message(Session(1), Session(2))
    async with (
        aiohttp.ClientSession() as http,
        http.ws_connect(f"http://127.0.0.1:{runner.addresses[0][1]}/") as socket,
    ):
        for _ in range(in_flight):
            await socket.send_bytes(raw)
        started, done = time.perf_counter(), 0
        while time.perf_counter() - started < SECONDS:
            await socket.receive()
            await socket.send_bytes(raw)
            done += 1
        rate = 2 * done / (time.perf_counter() - started)
    await runner.cleanup()
    return rate


async def idle(url: str, pids: Sequence[int], sessions: int) -> float:
    """KiB of the relay and its Redis for each idle session."""
    before = resident(pids)
    async with AsyncExitStack() as stack:
        for number in range(sessions):
            await stack.enter_async_context(peer(url, 2, f"idle{number}"))
        await asyncio.sleep(1)
        return (resident(pids) - before) / sessions / 1024


async def stream(address: str, in_flight: int) -> float:
    """Messages per second that are put into a stream of Redis and taken out again, over one connection."""
    client = aioredis.Redis(unix_socket_path=address)
    raw = message(Session(1), Session(2))
    started, done = time.perf_counter(), 0
    try:
        while time.perf_counter() - started < SECONDS:
            putting = client.pipeline(transaction=False)
            for _ in range(in_flight):
                putting.xadd("bench", {"m": raw})
            await putting.execute()
            ((_, found),) = await client.xread({"bench": "0"}, count=in_flight)
            await client.xdel("bench", *(number for number, _ in found))
            done += len(found)
        return done / (time.perf_counter() - started)
    finally:
        await client.aclose()
