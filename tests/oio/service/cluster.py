"""A directory of real processes, and every write that it acknowledged."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlencode

import apsw
import urllib3
from kazoo.client import KazooClient

from oio.service import supervisor
from oio.service.cli import bootstrap
from oio.service.deployment import Deployment
from oio.service.lease.sqlite import make_lease_file
from tests.oio.lease_stores import with_leases
from tests.oio.service.zookeeper_server import Server

PATIENCE = 60.0
SERVICE = "oio.service.process"


class Cluster:
    """A deployment under test, its proxy, and every write that was acknowledged."""

    def __init__(self, deployment: Deployment, program: str = SERVICE) -> None:
        self.deployment = deployment
        self.program = program
        self.pool = urllib3.PoolManager(retries=False, timeout=30.0, maxsize=16)
        self.url = f"http://{deployment.address('proxy-1')}/v3.0/{deployment.namespace}"
        self.acknowledged: dict[str, str] = {}
        self.lease_server: Server | None = None

    def ask(
        self, method: str, path: str, body: Any = None, seconds: float = 30.0, **query: str
    ) -> tuple[int, Any]:
        """Status and body of a request; `seconds` is how long the proxy may take."""
        data = None if body is None else json.dumps(body)
        headers = {"x-oio-timeout": str(int(seconds * 1e6))}
        url = f"{self.url}/{path}?{urlencode(query)}"
        answer = self.pool.request(method, url, body=data, headers=headers)
        return answer.status, json.loads(answer.data) if answer.data else None

    def write(self, key: str, value: str, seconds: float = 30.0) -> int:
        """Set a property of the one reference; remembered when it was acknowledged."""
        body = {"properties": {key: value}}
        status, _ = self.ask("POST", "reference/set_properties", body, seconds, acct="a", ref="r")
        if status == 204:
            self.acknowledged[key] = value
        return status

    def stored(self, seconds: float = 30.0) -> dict[str, str]:
        status, body = self.ask("POST", "reference/get_properties", [], seconds, acct="a", ref="r")
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

    def make_master(self, wanted: str) -> None:
        """Have others leave until that service is master of the reference's meta1 base."""
        address = self.deployment.address(wanted)

        def is_master() -> bool:
            masters = [one for one, state in self.states().items() if state == 200]
            for other in masters:
                if other != address:
                    self.ask("POST", "admin/leave", type="meta1", acct="a", ref="r", service_id=other)
            return masters == [address]

        eventually(is_master)

    def name(self, address: str) -> str:
        return next(n for n in self.deployment.names() if address in (n, self.deployment.address(n)))

    def signal(self, name: str, number: signal.Signals) -> None:
        process = supervisor.running(self.deployment, name)
        assert process is not None
        process.send_signal(number)
        if number is signal.SIGKILL:
            eventually(lambda: supervisor.running(self.deployment, name) is None)

    def kill(self, name: str) -> None:
        """Kill a service."""
        self.signal(name, signal.SIGKILL)

    def end(self, name: str) -> None:
        """End a service in good order, if it runs."""
        supervisor.stop(self.deployment, [name])

    def start(self, name: str) -> None:
        supervisor.start(self.deployment, name, self.program)
        supervisor.wait_listening(self.deployment, name)

    def writable(self, key: str) -> None:
        """Wait until a write is acknowledged."""
        eventually(lambda: self.write(key, "x") == 204)

    def alike(self) -> bool:
        """Whether all copies of the reference's meta1 base stand at the same entry with the same counters."""
        status, body = self.ask("POST", "admin/info", type="meta1", acct="a", ref="r")
        assert status == 200, body
        seen = [
            (answer["body"]["versions"], answer["body"]["facts"][1:3]) if answer["body"] else peer
            for peer, answer in body.items()
        ]
        return all(one == seen[0] for one in seen)

    @contextmanager
    def without_leases(self) -> Iterator[None]:
        """Take the store of the leases away for a while."""
        if self.lease_server is not None:
            self.lease_server.kill()
            try:
                yield
            finally:
                self.lease_server.start()
            return
        store = self.deployment.lease_file
        away = store.with_name("away")
        store.rename(away)
        try:
            yield
        finally:
            away.rename(store)

    def leases_given(self) -> int:
        """How often a lease was given to anybody so far."""
        if self.lease_server is not None:
            return self._nodes_made(self.lease_server.hosts)
        connection = apsw.Connection(str(self.deployment.lease_file), flags=apsw.SQLITE_OPEN_READONLY)
        try:
            return int(next(iter(connection.execute("SELECT token FROM counter")))[0])  # type: ignore[arg-type]
        finally:
            connection.close()

    def _nodes_made(self, hosts: str) -> int:
        client = KazooClient(hosts=hosts)
        client.start(timeout=PATIENCE)
        try:
            root = f"/hc/ns/{self.deployment.namespace}/el"
            folders = [client.get(f"{root}/{kind}")[1] for kind in client.get_children(root)]
            # Every change of children is a node that was made or one that went.
            return sum((stat.cversion + stat.numChildren) // 2 for stat in folders)
        finally:
            client.stop()
            client.close()

    def check(self) -> None:
        """Every write that was acknowledged is there."""
        stored = self.stored()
        assert {key: stored.get(key) for key in self.acknowledged} == self.acknowledged


def eventually(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "nothing changed within a minute"
        time.sleep(0.1)


@contextmanager
def running(deployment: Deployment, program: str = SERVICE) -> Iterator[Cluster]:
    """Start everything, with one reference; end everything."""
    with with_leases(deployment) as (wanted, server):
        with _running(wanted, program) as found:
            found.lease_server = server
            yield found


@contextmanager
def _running(deployment: Deployment, program: str) -> Iterator[Cluster]:
    deployment.save()
    make_lease_file(deployment.lease_file)
    names = deployment.names()
    try:
        first = len(deployment.conscience_names())
        for group in (names[:first], names[first:]):
            for name in group:
                supervisor.start(deployment, name, program)
            for name in group:
                supervisor.wait_listening(deployment, name)
        bootstrap(deployment)
        found = Cluster(deployment, program)
        assert found.ask("POST", "reference/create", {"properties": {}}, acct="a", ref="r")[0] == 201
        yield found
    finally:
        supervisor.stop(deployment, names)
