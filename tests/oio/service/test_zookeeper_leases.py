"""Leases in a real ZooKeeper: the same promises as those in a file."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from kazoo.client import KazooClient

from oio.service.deployment import Deployment
from oio.service.lease import LeaseError
from oio.service.lease.zookeeper import ZookeeperLeases
from tests.oio.service.cluster import eventually, running
from tests.oio.service.zookeeper_server import Server, is_installed, zookeeper

TTL = 2.0
KEY = "meta1@a:1,b:1,c:1"

pytestmark = pytest.mark.skipif(
    not is_installed() and not os.environ.get("CI"), reason="needs Debian's package zookeeper"
)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with zookeeper(tmp_path_factory.mktemp("zookeeper")) as found:
        yield found


@pytest.fixture
async def pair(server: Server, request: pytest.FixtureRequest) -> AsyncIterator[list[ZookeeperLeases]]:
    namespace = hashlib.md5(request.node.name.encode()).hexdigest()
    stores = [ZookeeperLeases(server.hosts, namespace, TTL) for _ in range(2)]
    yield stores
    for store in stores:
        await store.close()


async def until_held(store: ZookeeperLeases, holder: str) -> int:
    async with asyncio.timeout(60):
        while True:
            try:
                lease = await store.acquire(KEY, holder, TTL)
            except LeaseError:
                lease = None
            if lease is not None and lease.holder == holder:
                return lease.token
            await asyncio.sleep(0.1)


async def test_one_holder_at_a_time_and_growing_tokens(pair: list[ZookeeperLeases]) -> None:
    one, other = pair
    first = await one.acquire(KEY, "a:1#x", TTL)
    assert first.holder == "a:1#x"
    assert (await other.acquire(KEY, "b:1#y", TTL)).holder == "a:1"
    assert (await other.acquire("meta1@b:1", "b:1#y", TTL)).token > first.token
    assert await one.renew(first, TTL) is not None
    await one.release(first)
    assert await one.renew(first, TTL) is None
    assert (await other.acquire(KEY, "b:1#y", TTL)).token > first.token


async def test_a_holder_that_is_gone_is_followed_by_another(pair: list[ZookeeperLeases]) -> None:
    one, other = pair
    first = await one.acquire(KEY, "a:1#x", TTL)
    await one.close()
    assert await until_held(other, "b:1#y") > first.token


async def test_a_restarted_holder_takes_its_lease_at_once_under_a_new_token(
    pair: list[ZookeeperLeases],
) -> None:
    one, other = pair
    first = await one.acquire(KEY, "a:1#x", TTL)
    again = await other.acquire(KEY, "a:1#z", TTL)
    assert again.holder == "a:1#z"
    assert again.token > first.token
    assert await one.renew(first, TTL) is None


async def test_the_token_is_above_what_was_promised(pair: list[ZookeeperLeases]) -> None:
    first = await pair[0].acquire(KEY, "a:1#x", TTL)
    assert (await pair[0].acquire(KEY, "a:1#x", TTL, above=first.token)).token > first.token
    with pytest.raises(LeaseError, match="first-token"):
        await pair[0].acquire(KEY, "a:1#x", TTL, above=first.token + (1 << 40))


async def test_the_tree_is_laid_out_as_others_read_it(server: Server, pair: list[ZookeeperLeases]) -> None:
    await pair[0].acquire(KEY, "127.0.0.1:6021#x", TTL)
    client = KazooClient(hosts=server.hosts)
    client.start()
    try:
        found = {
            name: client.get(f"/hc/ns/{space}/el/meta1/{name}")[0]
            for space in client.get_children("/hc/ns")
            for name in client.get_children(f"/hc/ns/{space}/el/meta1")
        }
    finally:
        client.stop()
        client.close()
    key = hashlib.sha256(KEY.encode()).hexdigest().upper()
    assert found[f"{key}-0000000000"] == b"127.0.0.1:6021"


@pytest.mark.long
async def test_a_server_that_is_not_there_is_named_and_found_when_it_comes(tmp_path: Path) -> None:
    late = Server(tmp_path / "late")
    store = ZookeeperLeases(late.hosts, "OPENIO", TTL)
    try:
        with pytest.raises(LeaseError, match=late.hosts):
            await store.acquire(KEY, "a:1#x", TTL)
        await asyncio.to_thread(late.start)
        assert await until_held(store, "a:1#x") > 0
    finally:
        await store.close()
        late.kill()


@pytest.mark.parametrize("hosts", ["", "a:1;b:1"])
def test_hosts_that_cannot_be_used_are_refused(hosts: str) -> None:
    with pytest.raises(ValueError, match="one ensemble"):
        ZookeeperLeases(hosts, "OPENIO", TTL)


@pytest.mark.long
def test_a_directory_over_zookeeper_survives_its_masters_and_the_server(
    server: Server, tmp_path: Path
) -> None:
    deployment = Deployment(tmp_path / "directory", namespace="ZKNS", ttl=TTL, zookeeper=server.hosts)
    with running(deployment) as cluster:
        cluster.writable("before")
        victim = cluster.master()
        cluster.kill(victim)
        cluster.writable("while")
        cluster.check()
        cluster.start(victim)
        server.kill()
        eventually(lambda: cluster.write("without", "x", 2.0) == 503)
        server.start()
        cluster.writable("after")
        cluster.check()
        eventually(cluster.alike)
