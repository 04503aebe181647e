"""A real Redis Cluster of three masters, of a test's own."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.tfchain.devchain.process import free_port

MASTERS = 3
START_S = 60.0
NODE_TIMEOUT_MS = "15000"
"""Silence after which the nodes give each other up: a busy machine may hold one for seconds."""


class RedisCluster:
    """Its nodes, which may be killed and started again one by one."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.ports = [free_port() for _ in range(MASTERS)]
        self._buses = [free_port() for _ in range(MASTERS)]
        self._processes: dict[int, subprocess.Popen[bytes]] = {}

    @property
    def addresses(self) -> str:
        return ",".join(f"redis://127.0.0.1:{port}" for port in self.ports)

    def start(self, number: int) -> None:
        port, bus = self.ports[number], self._buses[number]
        folder = self._folder / str(port)
        folder.mkdir(parents=True, exist_ok=True)
        self._processes[number] = subprocess.Popen(
            ["redis-server", "--bind", "127.0.0.1", "--port", str(port), "--cluster-port", str(bus),
             "--cluster-enabled", "yes", "--cluster-node-timeout", NODE_TIMEOUT_MS, "--dir", str(folder),
             "--cluster-require-full-coverage", "no", "--appendonly", "yes", "--appendfsync", "always",
             "--save", ""],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
        )  # fmt: skip
        self._wait(port, "PING", "PONG")

    def form(self) -> None:
        """Make one cluster of the nodes."""
        nodes = [f"127.0.0.1:{port}" for port in self.ports]
        subprocess.run(
            ["redis-cli", "--cluster", "create", *nodes, "--cluster-yes"],
            check=True,
            capture_output=True,
            timeout=START_S,
        )
        for port in self.ports:
            self._wait(port, "CLUSTER INFO", "cluster_slots_ok:16384")
            self._wait(port, "CLUSTER INFO", "cluster_state:ok")

    def kill(self, number: int) -> None:
        process = self._processes.pop(number)
        process.kill()
        process.wait()

    def stop(self) -> None:
        for number in tuple(self._processes):
            self.kill(number)

    def _wait(self, port: int, command: str, wanted: str) -> None:
        deadline = time.monotonic() + START_S
        while True:
            done = subprocess.run(
                ["redis-cli", "-p", str(port), *command.split()],
                capture_output=True,
                text=True,
                timeout=START_S,
                check=False,
            )
            if wanted in done.stdout:
                return
            assert time.monotonic() < deadline, f"{command}: {done.stdout}{done.stderr}"
            time.sleep(0.1)


@contextmanager
def redis_cluster(folder: Path) -> Iterator[RedisCluster]:
    """A fresh cluster; it is gone afterwards."""
    if shutil.which("redis-server") is None or shutil.which("redis-cli") is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    made = RedisCluster(folder)
    try:
        for number in range(MASTERS):
            made.start(number)
        made.form()
        yield made
    finally:
        made.stop()
