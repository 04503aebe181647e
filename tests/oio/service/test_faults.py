"""Faults with real processes: no acknowledged write is lost, whoever is killed or stopped."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest
import urllib3

from oio.service import supervisor
from oio.service.cli import bootstrap
from oio.service.deployment import Deployment
from oio.service.lease.sqlite import make_lease_file

PATIENCE = 60.0


class Cluster:
    """A deployment under test, its proxy, and every write that was acknowledged."""

    def __init__(self, deployment: Deployment) -> None:
        self.deployment = deployment
        self.pool = urllib3.PoolManager(retries=False, timeout=30.0)
        self.url = f"http://{deployment.address('proxy-1')}/v3.0/{deployment.namespace}"
        self.acknowledged: dict[str, str] = {}

    def ask(self, method: str, path: str, body: Any = None, **query: str) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body)
        answer = (
            self.pool.request(method, f"{self.url}/{path}", fields=query)
            if method == "GET"
            else self.pool.request(method, f"{self.url}/{path}?{urlencode(query)}", body=data)
        )
        return answer.status, json.loads(answer.data) if answer.data else None

    def write(self, key: str, value: str) -> int:
        """Set a property of the one reference; remembered when it was acknowledged."""
        body = {"properties": {key: value}}
        status, _ = self.ask("POST", "reference/set_properties", body, acct="a", ref="r")
        if status == 204:
            self.acknowledged[key] = value
        return status

    def stored(self) -> dict[str, str]:
        status, body = self.ask("POST", "reference/get_properties", [], acct="a", ref="r")
        assert status == 200, body
        found: dict[str, str] = body["properties"]
        return found

    def states(self) -> dict[str, int]:
        status, body = self.ask("POST", "admin/status", type="meta1", acct="a", ref="r")
        assert status == 200, body
        return {address: answer["status"]["status"] for address, answer in body.items()}

    def master(self) -> str:
        """Name of the service that is master of the reference's meta1 base."""
        masters = [address for address, state in self.states().items() if state == 200]
        assert len(masters) == 1, masters
        return self.name(masters[0])

    def name(self, address: str) -> str:
        return next(n for n in self.deployment.names() if self.deployment.address(n) == address)

    def signal(self, name: str, number: signal.Signals) -> None:
        process = supervisor.running(self.deployment, name)
        assert process is not None
        process.send_signal(number)
        if number is signal.SIGKILL:
            eventually(lambda: supervisor.running(self.deployment, name) is None)

    def start(self, name: str) -> None:
        supervisor.start(self.deployment, name)
        supervisor.wait_listening(self.deployment, name)

    def check(self) -> None:
        stored = self.stored()
        assert {key: stored.get(key) for key in self.acknowledged} == self.acknowledged


def eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "nothing changed within a minute"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    deployment = Deployment(tmp_path_factory.mktemp("directory"))
    deployment.save()
    make_lease_file(deployment.lease_file)
    names = deployment.names()
    try:
        for group in (names[:1], names[1:]):
            for name in group:
                supervisor.start(deployment, name)
            for name in group:
                supervisor.wait_listening(deployment, name)
        bootstrap(deployment)
        found = Cluster(deployment)
        assert found.ask("POST", "reference/create", {"properties": {}}, acct="a", ref="r")[0] == 201
        yield found
    finally:
        supervisor.stop(deployment, names)


def test_f1_a_killed_master_is_replaced_and_nothing_acknowledged_is_lost(cluster: Cluster) -> None:
    for turn in range(3):
        for number in range(10):
            cluster.write(f"f1-{turn}-{number}", "before")
        victim = cluster.master()
        cluster.signal(victim, signal.SIGKILL)
        eventually(lambda turn=turn: cluster.write(f"f1-{turn}-after", "x") == 204)  # type: ignore[misc]
        cluster.check()
        cluster.start(victim)
    cluster.check()


def test_f3_a_frozen_master_that_wakes_up_is_master_no_more(cluster: Cluster) -> None:
    victim = cluster.master()
    address = cluster.deployment.address(victim)
    cluster.signal(victim, signal.SIGSTOP)
    try:
        eventually(lambda: cluster.write("f3-while", "frozen") == 204)
    finally:
        cluster.signal(victim, signal.SIGCONT)
    for number in range(10):
        states = cluster.states()
        assert sum(state == 200 for state in states.values()) <= 1
        assert states[address] != 200
        eventually(lambda number=number: cluster.write(f"f3-{number}", "after") == 204)  # type: ignore[misc]
    cluster.check()


def test_f6_two_of_three_dead_reads_work_writes_are_refused_and_both_come_back(cluster: Cluster) -> None:
    assert cluster.write("f6", "before") == 204
    names = [cluster.name(address) for address in cluster.states()]
    for name in names[:2]:
        cluster.signal(name, signal.SIGKILL)
    assert cluster.write("f6-lost", "x") == 503
    assert cluster.stored()["f6"] == "before"
    for name in names[:2]:
        cluster.start(name)
    eventually(lambda: cluster.write("f6-again", "x") == 204)
    cluster.check()


def test_f8_a_lost_and_a_damaged_file_are_replaced_from_a_healthy_peer(cluster: Cluster) -> None:
    assert cluster.write("f8", "before") == 204
    status, body = cluster.ask("POST", "admin/has", type="meta1", acct="a", ref="r")
    assert status == 200
    master = cluster.deployment.address(cluster.master())
    slaves = [Path(answer["body"]) for address, answer in body.items() if address != master]
    slaves[0].unlink()
    status, body = cluster.ask("POST", "admin/has", type="meta1", acct="a", ref="r")
    assert sorted(answer["status"]["status"] for answer in body.values()) == [200, 200, 431]
    assert cluster.write("f8-again", "x") == 204
    eventually(slaves[0].exists)
    cluster.check()
