"""Accepted deployments per second (durable, null provisioners) beside raw SQLite commits of the same durability.

python -m tests.bench.bench_accept [COUNT]
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import structlog

from gridtypes import Deployment
from tests.zosd.parts import daemon, deployment, machine, network, zmount

COUNT = 1000
CALLERS = 64
"""Calls in flight at the same time."""


@dataclass(frozen=True)
class Rates:
    """Per second."""

    raw: float
    alone: float
    """64 callers, nothing is installed meanwhile."""
    one_caller: float
    many_callers: float
    settled: float


def raw_commits(folder: Path, bodies: list[bytes]) -> float:
    """Commits per second of plain SQLite with WAL and full synchronisation, one row each."""
    connection = sqlite3.connect(folder / "raw.db", isolation_level=None)
    connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = FULL")
    connection.execute("CREATE TABLE deployment (contract INTEGER PRIMARY KEY, body BLOB)")
    start = time.perf_counter()
    for contract, body in enumerate(bodies):
        connection.execute("INSERT INTO deployment VALUES (?, ?)", (contract, body))
    rate = len(bodies) / (time.perf_counter() - start)
    connection.close()
    return rate


async def accepted(
    folder: Path, wanted: list[Deployment], callers: int, installing: bool = True
) -> tuple[float, float]:
    """(accepted per second, brought to `ok` per second)."""
    async with daemon(folder) as node:
        if not installing:
            node.acceptor._accepted = lambda key: None
        node.node.total = type(node.node.total)(cru=1024, mru=1 << 50, sru=1 << 50, hru=1 << 50)
        node.node.free_ssd = 1 << 50
        for one in wanted:
            node.chain.sign_up(one)
        slots = asyncio.Semaphore(callers)

        async def deploy(one: Deployment) -> None:
            async with slots:
                await node.deploy(one)

        start = time.perf_counter()
        await asyncio.gather(*(deploy(one) for one in wanted))
        accepted = time.perf_counter() - start
        if installing:
            await node.settled(600)
        settled = time.perf_counter() - start
    return len(wanted) / accepted, len(wanted) / settled


def made(count: int) -> list[Deployment]:
    return [
        deployment(
            network(f"net{number}"),
            zmount("disk"),
            machine("vm", f"net{number}", {"disk": "/data"}),
            contract=number,
        )
        for number in range(1, count + 1)
    ]


async def measure(count: int = COUNT) -> Rates:
    quiet()
    wanted = made(count)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        raw = raw_commits(folder, [one.to_json() for one in wanted])
        alone, _ = await accepted(folder / "alone", wanted, CALLERS, installing=False)
        one, _ = await accepted(folder / "one", wanted[: count // 4], 1)
        many, settled = await accepted(folder / "many", wanted, CALLERS)
    return Rates(raw, alone, one, many, settled)


def quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    rates = asyncio.run(measure(count))
    print(f"{count} deployments of 3 workloads")
    rows = (
        ("raw SQLite commits", rates.raw),
        (f"accepted, {CALLERS} callers, nothing installed", rates.alone),
        ("accepted, 1 caller, while installing", rates.one_caller),
        (f"accepted, {CALLERS} callers, while installing", rates.many_callers),
        ("accepted and brought to ok", rates.settled),
    )
    for name, rate in rows:
        print(f"  {name:44} {rate:8.0f} /s  {rate / rates.raw:6.3f} of raw")


if __name__ == "__main__":
    main()
