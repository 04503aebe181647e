"""The metadata directory under load, on one machine with services as processes; every number beside its floor.

python -m tests.bench.bench_oio

Services, clients and floor share the processors. The floor of a write is what no replication to two peers can do
without: two SQLite commits that reach the disk, one after the other, and one HTTP round trip to the proxy.
"""

from __future__ import annotations

import itertools
import json
import signal
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rich.console import Console
from rich.table import Table

from oio.common.exceptions import OioException
from oio.conscience.client import ConscienceClient
from oio.directory.client import DirectoryClient
from oio.directory.meta0 import Meta0Client, Meta0PrefixMapping
from oio.directory.relocation import Journal, Relocation, planned
from oio.service.deployment import Deployment
from tests.oio.service.cluster import Cluster, running

SECONDS = 4.0
KILLS = 10
BASES = 1000
ACCOUNT = "bench"
LEASE = 3.0


def per_second(act: Callable[[int], object], clients: int, first: int = 0) -> tuple[float, list[float]]:
    """Acts a second by so many clients, and the milliseconds of each."""
    numbers, times = itertools.count(first), []
    end = time.perf_counter() + SECONDS

    def work(_client: int) -> None:
        while (begun := time.perf_counter()) < end:
            act(next(numbers))
            times.append(1000 * (time.perf_counter() - begun))

    begun = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        list(pool.map(work, range(clients)))
    return len(times) / (time.perf_counter() - begun), times


def percentiles(times: list[float]) -> tuple[float, float]:
    """Median and the 99th of 100."""
    cuts = statistics.quantiles(times, n=100)
    return cuts[49], cuts[98]


def floor(folder: Path, cluster: Cluster) -> list[float]:
    """Milliseconds of two commits and a round trip."""
    connections = []
    for name in ("a", "b"):
        connection = sqlite3.connect(folder / name, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE t(k INTEGER PRIMARY KEY, v TEXT)")
        connections.append(connection)
    status = cluster.url.rpartition("/")[0] + "/status"

    def act(number: int) -> None:
        for connection in connections:
            connection.execute("INSERT INTO t VALUES(?, 'value')", (number,))
        cluster.pool.request("GET", status)

    return per_second(act, 1)[1]


def throughput(console: Console, folder: Path) -> None:
    """References a second, write latency, failover, and the whole mapping."""
    with running(Deployment(folder / "directory", ttl=LEASE)) as cluster:
        directory = DirectoryClient(
            {"namespace": "OPENIO", "proxyd_url": cluster.deployment.address("proxy-1")}, pool_maxsize=64
        )
        numbers = itertools.count(0, 1_000_000)
        table = Table("references a second", "1 client", "32 clients")
        latency: list[float] = []
        for name, act in (
            ("create", lambda number: directory.create(ACCOUNT, f"r{number}")),
            ("show", lambda number: directory.list(ACCOUNT, "shown")),
            ("link", lambda number: directory.link(ACCOUNT, f"l{number}", "rdir", autocreate=True)),
            ("set_properties", lambda number: directory.set_properties(ACCOUNT, "shown", {"k": str(number)})),
        ):
            directory.create(ACCOUNT, "shown")
            alone, times = per_second(act, 1, next(numbers))
            together, _ = per_second(act, 32, next(numbers))
            table.add_row(name, f"{alone:.0f}", f"{together:.0f}")
            latency = times
        console.print(table)
        lowest, ours = percentiles(floor(folder, cluster)), percentiles(latency)
        table = Table("milliseconds of a write", "p50", "p99")
        table.add_row("two SQLite commits and a round trip", *(f"{value:.1f}" for value in lowest))
        table.add_row("a write, 3 peers", *(f"{value:.1f}" for value in ours))
        table.add_row("ratio", *(f"{one / other:.1f}" for one, other in zip(ours, lowest, strict=True)))
        console.print(table)
        gaps = sorted(failover(cluster) for _ in range(KILLS))
        console.print(
            f"failover with a lease of {LEASE:g} s, {KILLS} kills of a master: median {statistics.median(gaps):.1f} s, "
            f"longest {gaps[-1]:.1f} s (the original needs 7 to 10)"
        )
        for query in ("", "?digits=2"):
            begun = time.perf_counter()
            raw = cluster.pool.request("GET", f"{cluster.url}/admin/meta0_list{query}").data
            took = 1000 * (time.perf_counter() - begun)
            console.print(
                f"meta0_list{query}: {len(json.loads(raw))} prefixes, {len(raw)} bytes, {took:.0f} ms"
            )


def failover(cluster: Cluster) -> float:
    """Seconds from the death of a master to the next acknowledged write."""
    name = cluster.master()
    begun = time.perf_counter()
    cluster.signal(name, signal.SIGKILL)
    while cluster.write("failover", "x", seconds=1.0) != 204:
        time.sleep(0.05)
    took = time.perf_counter() - begun
    cluster.start(name)
    while not cluster.alike():
        time.sleep(0.1)
    return took


class Listed(ConscienceClient):
    """Thirty services on ten hosts."""

    def __init__(self) -> None:
        super().__init__({"namespace": "OPENIO", "proxyd_url": "127.0.0.1:1"})

    def all_services(self, type_: str, full: bool = False, **kwargs: object) -> list[dict[str, object]]:
        return [
            {"addr": f"10.0.0.{n}:1", "score": 100, "tags": {"tag.loc": f"s{n % 3}.r.h{n % 10}.v{n}"}}
            for n in range(30)
        ]


def plans(console: Console) -> None:
    """Plans for the largest namespace there can be."""
    mapping = Meta0PrefixMapping(
        Meta0Client({"namespace": "OPENIO", "proxyd_url": "127.0.0.1:1"}),
        conscience_client=Listed(),
        digits=4,
    )
    for name, act in (
        ("bootstrap", lambda: mapping.bootstrap("host")),
        ("decommission", lambda: mapping.decommission("10.0.0.0:1")),
        ("rebalance", mapping.rebalance),
    ):
        begun = time.perf_counter()
        act()
        took = time.perf_counter() - begun
        console.print(f"plan of {name}, 65,536 bases on 30 services: {took:.1f} s")


def decommission(console: Console, folder: Path) -> None:
    """Bases a second that leave a meta1 service."""
    with running(Deployment(folder / "directory", services=4, digits=3, ttl=LEASE)) as cluster:
        conf = {"namespace": "OPENIO", "proxyd_url": cluster.deployment.address("proxy-1")}
        directory = DirectoryClient(conf, pool_maxsize=64)
        mapping = Meta0PrefixMapping(Meta0Client(conf), digits=3)
        mapping.load_meta0()
        going = cluster.deployment.address("meta1-1")
        leaving = mapping.get_managed_bases(going)
        bases: set[str] = set()
        number = 0
        while len(bases) < BASES:
            try:
                directory.create(ACCOUNT, f"d{number}")
                base = directory.list(ACCOUNT, f"d{number}")["cid"][:3]
                bases |= {base} & leaving
            except OioException as error:
                console.print(f"create: {error}")
            number += 1
        moved = mapping.decommission(going, sorted(bases))
        begun = time.perf_counter()
        with Journal(folder / "journal") as journal:
            journal.plan(planned(mapping, moved))
            left = Relocation(mapping, journal, workers=16).run()
        took = time.perf_counter() - begun
        console.print(
            f"decommission of {len(moved)} bases with data, 16 at once: {took:.0f} s, "
            f"{len(moved) / took:.1f} a second, {len(left)} left"
        )


def main() -> None:
    """Run all."""
    console = Console(width=110)
    with tempfile.TemporaryDirectory() as folder:
        for name, act in (("a", throughput), ("b", decommission)):
            place = Path(folder, name)
            place.mkdir()
            act(console, place)
    plans(console)


if __name__ == "__main__":
    main()
