"""The relay under load, beside any other relay and beside floors, in one run.

Our relay runs as it is, with `store = always`, and with a Redis; `RELAYS` names others (and `RELAYS_ONLY=1` leaves ours
out):

    python -m tests.bench.bench_rmb --chain 9944     # a chain with the twins of the load, until it is interrupted
    other-relay --substrate ws://127.0.0.1:9944 …    # whose domain is relay.example.org
    make bench-rmb RELAYS="ws://127.0.0.1:8051/,4242,4240"

The numbers after the address are the processes of that relay, its Redis among them: with them its processor time and
memory are measured too.  Floors: a bare WebSocket echo with the library that our relay uses, and a stream of a bare
Redis.  Relay and generator share the machine's processors; where the generator was the busier, it is said.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import psutil
import uvloop
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.bench.rmb_load import STORED, drain, echo, idle, load, stream
from tests.rmb.redis_server import redis_server
from tests.rmb.relay.grid import chain_with_twins, relay

CASES = (("2 peers, one after the other", 1, 1), ("2 peers, 64 in flight", 1, 64),
         ("100 peers", 50, 1), ("1,000 peers", 500, 1))  # fmt: skip
IDLE = 500
"""Sessions that only stay connected."""


@dataclass(frozen=True)
class Target:
    """A relay to load."""

    name: str
    url: str
    pids: tuple[int, ...] = ()
    """Its processes, with its Redis; empty when they are not known."""

    @staticmethod
    def parse(text: str) -> Target:
        """From "ws://host:port/,pid,…".  Raises ValueError."""
        url, *pids = text.split(",")
        return Target(url, url, tuple(int(pid) for pid in pids))


def measure(target: Target, floor: float, table: Table, progress: Progress) -> None:
    """Add the rows of one relay."""
    task = progress.add_task(target.name, total=len(CASES) + 2)
    memory = asyncio.run(idle(target.url, target.pids, IDLE)) if target.pids else None
    progress.advance(task)
    for title, pairs, in_flight in CASES:
        found = asyncio.run(load(target.url, pairs, in_flight, target.pids))
        busier = target.pids and found.own_cpu > found.relay_cpu
        table.add_row(
            target.name, title + (" (generator busier)" if busier else ""), f"{found.rate:,.0f}",
            f"{found.rate / floor:.2f}", f"{found.p50:.2f}", f"{found.p99:.2f}",
            f"{found.relay_cpu / found.rate * 1e6:.0f}" if target.pids else "?",
        )  # fmt: skip
        progress.advance(task)
    table.add_row(
        target.name, f"{STORED:,} stored, ms until drained", f"{asyncio.run(drain(target.url)):.0f}"
    )
    progress.advance(task)
    if memory is not None:
        table.add_row(target.name, "KiB per idle session", f"{memory:.0f}")
    table.add_section()


def bench(others: Sequence[Target], ours: bool) -> None:
    console = Console(width=140)
    table = Table("relay", "load", "messages/s", "of echo", "p50 ms", "p99 ms", "relay µs/message")
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        redis = stack.enter_context(redis_server())
        progress = stack.enter_context(Progress(console=console))
        floor = asyncio.run(echo(64))
        raw = [asyncio.run(stream(redis, in_flight)) for in_flight in (1, 64)]
        for target in others:
            measure(target, floor, table, progress)
        if ours:
            (folder / "chain").mkdir()
            chain = stack.enter_context(chain_with_twins(folder / "chain"))
            with relay(folder / "plain", chain) as each:
                measure(Target("ours", each.url, (each.pid,)), floor, table, progress)
            with relay(folder / "always", chain, "--store-always") as each:
                measure(Target("ours, store = always", each.url, (each.pid,)), floor, table, progress)
            with relay(folder / "redis", chain, "--redis", redis, "--store-always") as each:
                pids = (each.pid, _server_of(redis))
                measure(Target("ours, always, Redis", each.url, pids), floor, table, progress)
    console.print(table)
    console.print(f"floors: bare echo, 64 in flight, one process for both sides: {floor:,.0f} messages/s")
    console.print(f"        bare Redis stream, in and out: {raw[0]:,.0f} one by one, {raw[1]:,.0f} by 64")


def _server_of(socket: str) -> int:
    """The process that listens on a socket file."""
    for connection in psutil.net_connections("unix"):
        if connection.laddr == socket and connection.pid:
            return int(connection.pid)
    raise RuntimeError(f"nobody listens on {socket}")


def serve_chain(port: int) -> None:
    """Run the chain whose twins the load uses, until interrupted."""
    with tempfile.TemporaryDirectory() as name, chain_with_twins(Path(name), port=port) as chain:
        print(f"twins 1 to 6 are on the chain at {chain.url}; end with ctrl-C")
        signal.sigwait({signal.SIGINT, signal.SIGTERM})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--chain", type=int, metavar="PORT", help="only run the chain for another relay")
    chosen = parser.parse_args()
    os.environ["ZOS_RELAY_DRAIN"] = "0"
    if chosen.chain is not None:
        serve_chain(chosen.chain)
        return
    asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    others = [Target.parse(text) for text in os.environ.get("RELAYS", "").split()]
    bench(others, ours=not os.environ.get("RELAYS_ONLY"))


if __name__ == "__main__":
    main()
