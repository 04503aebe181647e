"""Many clients at once, and what the services need of the machine meanwhile."""

from __future__ import annotations

import gc
import itertools
import os
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from oio.common.exceptions import Conflict, NotFound, OioException
from oio.container.client import ContainerClient
from oio.directory.admin import AdminClient
from oio.directory.client import DirectoryClient
from oio.service import supervisor
from tests.oio.service.cluster import Cluster, eventually

ACCOUNT = "soak"
REFERENCES = 64
"""The clients share so many references: what the services remember of them is bounded, and must not grow."""
CONTAINERS = 32
SPARE_THREADS = min(32, (os.cpu_count() or 1) + 4)
"""Threads for blocking acts are started when they are first needed, up to so many."""
SPARE_DESCRIPTORS = 4
"""A file that is open at one time and not at another is no leak."""
SPARE_MEMORY = 4 << 20


@dataclass(frozen=True)
class Usage:
    """What one process uses; memory is in bytes."""

    threads: int
    descriptors: int
    memory: int


def usage(cluster: Cluster) -> dict[str, Usage]:
    """Service -> what it uses now, and not what it holds in reserve."""
    admin = AdminClient({"namespace": "OPENIO", "proxyd_url": cluster.deployment.address("proxy-1")})
    for name in cluster.deployment.names():
        if name.startswith("meta"):
            admin.service_release_memory(cluster.deployment.address(name))
    found = {}
    for name in cluster.deployment.names():
        process = supervisor.running(cluster.deployment, name)
        assert process is not None, name
        with process.oneshot():
            used = process.memory_full_info().uss
            found[name] = Usage(process.num_threads(), process.num_fds(), used)
    return found


def at_rest(cluster: Cluster) -> dict[str, Usage]:
    """What is used when the connections of clients that have gone are closed."""
    seen = [usage(cluster)]

    def nothing_closes() -> bool:
        time.sleep(1.0)
        seen.append(usage(cluster))
        return all(seen[-1][name].descriptors >= was.descriptors for name, was in seen[-2].items())

    eventually(nothing_closes)
    return seen[-1]


class Clients:
    """So many clients of a cluster, each with connections of its own, that read, write, make and delete."""

    def __init__(self, cluster: Cluster, count: int) -> None:
        self.count = count
        self.done = 0
        self.refused = 0
        self._conf = {"namespace": "OPENIO", "proxyd_url": cluster.deployment.address("proxy-1")}
        self._lock = threading.Lock()

    def rounds(self, many: int) -> None:
        """Every client does everything so many times."""
        self._run(lambda: iter(range(many)))

    def until(self, end: float) -> None:
        """The clients work until a monotonic time."""
        self._run(lambda: itertools.takewhile(lambda _: time.monotonic() < end, itertools.count()))

    def _run(self, rounds: Callable[[], Iterator[int]]) -> None:
        with ThreadPoolExecutor(self.count) as pool:
            for result in [pool.submit(self._work, number, rounds()) for number in range(self.count)]:
                result.result()

    def _work(self, client: int, rounds: Iterator[int]) -> None:
        options = {"pool_maxsize": 2, "read_timeout": 30.0}
        directory = DirectoryClient(self._conf, **options)
        shared = {"pool_manager": directory.pool_manager}
        admin, container = AdminClient(self._conf, **shared), ContainerClient(self._conf, **shared)
        try:
            for number in rounds:
                name = f"r{(client + number) % REFERENCES}"
                made = f"c{(client + number) % CONTAINERS}"
                for act in (
                    lambda name=name: directory.create(ACCOUNT, name),
                    lambda name=name, number=number: directory.set_properties(
                        ACCOUNT, name, {f"k{client % 8}": str(number)}
                    ),
                    lambda name=name: directory.get_properties(ACCOUNT, name),
                    lambda name=name: directory.list(ACCOUNT, name),
                    lambda name=name: admin.election_status(
                        service_type="meta1", account=ACCOUNT, reference=name
                    ),
                    lambda made=made: container.container_create(ACCOUNT, made),
                    lambda made=made: container.container_delete(ACCOUNT, made),
                ):
                    self._try(act)
        finally:
            directory.pool_manager.clear()

    def _try(self, act: Callable[[], object]) -> None:
        """Others delete the same container, and a loaded machine may refuse: neither is the subject here."""
        try:
            act()
            refused = 0
        except (NotFound, Conflict):
            refused = 0
        except OioException:
            refused = 1
        with self._lock:
            self.done += 1
            self.refused += refused


def settle(
    cluster: Cluster, before: dict[str, Usage], memory: float, spare: int = SPARE_DESCRIPTORS
) -> dict[str, Usage]:
    """What is used once nobody asks any more; fails when it stays above what was used before.

    Memory may be `memory` times what it was, for what lies between the objects of an interpreter, and `spare` more
    descriptors may be open: those of connections that wait to be used again.
    """
    gc.collect()
    now: dict[str, Usage] = {}

    def has_settled() -> bool:
        now.update(usage(cluster))
        return not grown(before, now, memory, spare)

    try:
        eventually(has_settled)
    except AssertionError as error:
        raise AssertionError(
            f"more is used than before: {'; '.join(grown(before, now, memory, spare))}"
        ) from error
    return now


def grown(before: dict[str, Usage], now: dict[str, Usage], memory: float, spare: int) -> list[str]:
    """A line for everything that is used more than before."""
    lines = []
    for name, was in before.items():
        is_now = now[name]
        if is_now.threads > was.threads + SPARE_THREADS:
            lines.append(f"{name}: {was.threads} threads, now {is_now.threads}")
        if is_now.descriptors > was.descriptors + spare:
            lines.append(f"{name}: {was.descriptors} descriptors, now {is_now.descriptors}")
        if is_now.memory > memory * was.memory + SPARE_MEMORY:
            lines.append(f"{name}: {was.memory >> 10} KiB of memory, now {is_now.memory >> 10}")
    return lines
