"""Where the services under test keep their leases: in a file, or with `OIO_LEASES=zookeeper` in a real ZooKeeper."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from oio.service.deployment import Deployment
from oio.service.lease import LeaseStore
from oio.service.lease.sqlite import SqliteLeases, make_lease_file
from oio.service.lease.zookeeper import ZookeeperLeases
from tests.oio.service.zookeeper_server import Server, zookeeper

ON_ZOOKEEPER = os.environ.get("OIO_LEASES", "") == "zookeeper"
in_a_file = pytest.mark.skipif(ON_ZOOKEEPER, reason="looks into the file of the leases")
_shared: list[Server] = []


def leases_in(folder: Path, ttl: float) -> LeaseStore:
    """The leases of a directory that runs inside the test and has its files in `folder`."""
    if not ON_ZOOKEEPER:
        return SqliteLeases(folder / "leases")
    return ZookeeperLeases(
        shared_server().hosts, "T" + hashlib.sha256(str(folder).encode()).hexdigest()[:16], ttl
    )


def make_leases(folder: Path) -> None:
    """Make the store for it."""
    if not ON_ZOOKEEPER:
        make_lease_file(folder / "leases")


def shared_server() -> Server:
    """The one server of all directories inside tests; `stop_shared_server` ends it."""
    if not _shared:
        server = Server(Path(tempfile.mkdtemp(prefix="oio-zookeeper-")))
        _shared.append(server)
        server.start()
    return _shared[0]


def stop_shared_server() -> None:
    """End it, if it runs."""
    while _shared:
        _shared.pop().discard()


@contextmanager
def with_leases(deployment: Deployment) -> Iterator[tuple[Deployment, Server | None]]:
    """A deployment of processes and the server of its leases, which may be told to be another one's."""
    if not ON_ZOOKEEPER or deployment.zookeeper:
        yield deployment, None
        return
    folder = deployment.root.with_name(f"{deployment.root.name}-zookeeper")
    with zookeeper(folder) as server:
        yield replace(deployment, zookeeper=server.hosts), server
