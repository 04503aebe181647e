"""Accepted deployments per second (durable, null provisioners) beside two floors of the same durability, and where
the time goes.

python -m tests.bench.bench_accept [COUNT]

The floors are appends of the same bodies to one file with an fsync each, and plain SQLite commits of one row each.
An accept may be faster than both: calls that come during an fsync share the next one.  The accept path of the
existing engine in Go was run beside it once, by hand: its store (bolt) and its queue take 1,900 deployments a
second from 64 callers and 1,100 from one, ours 480 to 580 and 300.  Theirs has looked at no signature, hash,
contract or capacity by then; ours has, and its answer is the node's word.  Their installing asks the chain through
a gateway for every job, and was not run.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import structlog

from gridtypes import Deployment
from tests.zosd.parts import daemon, deployment, machine, network, zmount
from zosd.measures import Measures

COUNT = 1000
CALLERS = 64
"""Calls in flight at the same time."""


@dataclass(frozen=True)
class Run:
    """Of one daemon: deployments per second, and mean times of its phases in milliseconds."""

    accepted: float
    settled: float
    phases: dict[str, float]


@dataclass(frozen=True)
class Rates:
    """Per second."""

    fsync: float
    raw: float
    alone: Run
    """64 callers, nothing is installed meanwhile."""
    one_caller: Run
    many_callers: Run


def fsyncs(folder: Path, bodies: list[bytes]) -> float:
    """Appends per second to one file, each on disk before the next."""
    descriptor = os.open(folder / "raw.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    start = time.perf_counter()
    for body in bodies:
        os.write(descriptor, body)
        os.fsync(descriptor)
    rate = len(bodies) / (time.perf_counter() - start)
    os.close(descriptor)
    return rate


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


async def accepted(folder: Path, wanted: list[Deployment], callers: int, installing: bool = True) -> Run:
    measures = Measures()
    async with daemon(folder, measures=measures) as node:
        if not installing:
            node.acceptor._accepted = lambda key: None
        node.node.total = type(node.node.total)(cru=1024, mru=1 << 50, sru=1 << 50, hru=1 << 50)
        node.node.free_ssd = 1 << 50
        for one in wanted:
            node.chain.sign_up(one)
        slots = asyncio.Semaphore(callers)
        answered: list[float] = []

        async def deploy(one: Deployment) -> None:
            async with slots:
                began = time.perf_counter()
                await node.deploy(one)
                answered.append(time.perf_counter() - began)

        start = time.perf_counter()
        await asyncio.gather(*(deploy(one) for one in wanted))
        seconds = time.perf_counter() - start
        if installing:
            await node.settled(600)
        settled = time.perf_counter() - start
    phases = {"call answered": sum(answered) / len(answered) * 1000, **means(measures)}
    return Run(len(wanted) / seconds, len(wanted) / settled, phases)


def means(measures: Measures) -> dict[str, float]:
    """Mean milliseconds of commits by name and of acts by type and verb."""
    found: dict[str, tuple[float, float]] = {}
    for metric in measures.registry.collect():
        for sample in metric.samples:
            name = " ".join(sample.labels[key] for key in ("name", "type", "verb") if key in sample.labels)
            place = {"zosd_journal_commit_seconds": "commit", "zosd_act_seconds": "act"}.get(metric.name)
            if place is None or not name:
                continue
            total, count = found.get(f"{place} {name}", (0.0, 0.0))
            if sample.name.endswith("_sum"):
                total += sample.value
            elif sample.name.endswith("_count"):
                count += sample.value
            found[f"{place} {name}"] = (total, count)
    return {name: total / count * 1000 for name, (total, count) in sorted(found.items()) if count}


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
    bodies = [one.to_json() for one in wanted]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        fsync, raw = fsyncs(folder, bodies), raw_commits(folder, bodies)
        alone = await accepted(folder / "alone", wanted, CALLERS, installing=False)
        one = await accepted(folder / "one", wanted[: count // 4], 1)
        many = await accepted(folder / "many", wanted, CALLERS)
    return Rates(fsync, raw, alone, one, many)


def quiet() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else COUNT
    rates = asyncio.run(measure(count))
    print(f"{count} deployments of 3 workloads")
    rows = (
        ("appends with fsync", rates.fsync),
        ("raw SQLite commits", rates.raw),
        (f"accepted, {CALLERS} callers, nothing installed", rates.alone.accepted),
        ("accepted, 1 caller, while installing", rates.one_caller.accepted),
        (f"accepted, {CALLERS} callers, while installing", rates.many_callers.accepted),
        ("accepted and brought to ok", rates.many_callers.settled),
    )
    for name, rate in rows:
        print(
            f"  {name:44} {rate:8.0f} /s  {rate / rates.fsync:6.3f} of fsync  {rate / rates.raw:6.3f} of SQLite"
        )
    print("mean time of each phase, 1 caller")
    for name, milliseconds in rates.one_caller.phases.items():
        print(f"  {name:44} {milliseconds:8.2f} ms")


if __name__ == "__main__":
    main()
