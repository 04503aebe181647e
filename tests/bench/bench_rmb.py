"""The relay under load: closed loops of requests and answers between connected peers, and draining what was stored.

python -m tests.bench.bench_rmb [URL …]

Without an URL it starts our relay, once as it is and once with `store = always`; with URLs it loads those that are
given (the twins 1 … 6 of `tests.rmb.relay.grid` have to be known to them).  The floor is a bare WebSocket echo of the
same library.  Each message is a request that the other side answers: both are counted.  Relay and generator share the
machine's processors; the generator says so when it was the busier of the two.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import psutil
import uvloop
from aiohttp import web
from rich.console import Console
from rich.table import Table

from rmb.gen2.session import Session
from tests.rmb.relay.grid import Peer, chain_with_twins, message, peer, relay

SECONDS = 4.0
STORED = 1000


@dataclass(frozen=True)
class Result:
    """Messages per second, and milliseconds for a request and its answer."""

    rate: float
    p50: float
    p99: float
    relay_cpu: float
    """Processors that the relay used."""
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


async def load(url: str, pairs: int, in_flight: int, pid: int | None) -> Result:
    """`pairs` of sessions, each a closed loop."""
    async with AsyncExitStack() as stack:
        asking = [await stack.enter_async_context(peer(url, 1, f"a{n}")) for n in range(pairs)]
        answering = [await stack.enter_async_context(peer(url, 2, f"b{n}")) for n in range(pairs)]
        servers = [asyncio.create_task(answer(each)) for each in answering]
        times: list[float] = []
        theirs = psutil.Process(pid).cpu_times() if pid else None
        ours, started = time.process_time(), time.perf_counter()
        until = started + SECONDS
        counts = await asyncio.gather(
            *(ask(each, Session(2, f"b{n}"), n, in_flight, until, times) for n, each in enumerate(asking))
        )
        passed = time.perf_counter() - started
        own = (time.process_time() - ours) / passed
        used = 0.0
        if pid and theirs:
            now = psutil.Process(pid).cpu_times()
            used = (now.user + now.system - theirs.user - theirs.system) / passed
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


async def drain(url: str) -> float:
    """Milliseconds from the connection of an absent peer until it has what was stored for it."""
    async with peer(url, 1, "storing") as sender:
        for number in range(STORED):
            await sender.send(Session(3, "drain"), f"stored {number}")
        await sender.send(Session(1, "storing"))
        await sender.receive()
        await asyncio.sleep(0.5)
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


CASES = (("2 peers, one after the other", 1, 1), ("2 peers, 64 in flight", 1, 64),
         ("100 peers", 50, 1), ("1,000 peers", 500, 1))  # fmt: skip


def rows(table: Table, name: str, url: str, pid: int | None, floor: float) -> None:
    for title, pairs, in_flight in CASES:
        found = asyncio.run(load(url, pairs, in_flight, pid))
        note = " (the generator was the busier)" if pid and found.own_cpu > found.relay_cpu else ""
        table.add_row(
            name, title + note, f"{found.rate:.0f}", f"{found.rate / floor:.2f}", f"{found.p50:.2f}",
            f"{found.p99:.2f}", f"{found.relay_cpu / found.rate * 1e6:.0f}" if pid else "",
        )  # fmt: skip
    table.add_row(name, f"drain {STORED} stored, ms", f"{asyncio.run(drain(url)):.0f}", "", "", "", "")


def idle_memory(url: str, pid: int) -> float:
    """KiB of the relay for each of 500 idle sessions."""

    async def measure() -> float:
        process = psutil.Process(pid)
        before = process.memory_info().rss
        async with AsyncExitStack() as stack:
            for number in range(500):
                await stack.enter_async_context(peer(url, 2, f"idle{number}"))
            await asyncio.sleep(1)
            return (process.memory_info().rss - before) / 500 / 1024

    return asyncio.run(measure())


def main(urls: Sequence[str]) -> None:
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    os.environ["ZOS_RELAY_DRAIN"] = "0"
    table = Table("relay", "load", "messages/s", "of echo", "p50 ms", "p99 ms", "relay µs/message")
    floor = asyncio.run(echo(64))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for url in urls:
            rows(table, url, url, None, floor)
        if not urls:
            (folder / "chain").mkdir()
            with chain_with_twins(folder / "chain") as chain:
                with relay(folder / "plain", chain) as plain:
                    memory = idle_memory(plain.url, plain.pid)
                    rows(table, "ours", plain.url, plain.pid, floor)
                with relay(folder / "always", chain, "--store-always") as always:
                    rows(table, "ours, store = always", always.url, always.pid, floor)
    console = Console(width=140)
    console.print(table)
    console.print(f"bare echo, 64 in flight, one process for both sides: {floor:.0f} messages/s")
    if not urls:
        console.print(f"memory for an idle session: {memory:.0f} KiB")


if __name__ == "__main__":
    main(sys.argv[1:])
