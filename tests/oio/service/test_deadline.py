"""A request's end goes with it, from the proxy to the last peer: what its client has given up is not done any more."""

from __future__ import annotations

import asyncio
import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from oio.naming import cid_of, meta1_base
from oio.service import deadline, replicated, status
from oio.service.replicated import ReplicatedBase
from oio.service.rpc import Arguments, RpcClient, RpcServer
from oio.service.status import ServiceError
from tests.oio.service.directory_in_process import HOST, Running, directory

REFERENCE = [("acct", "a"), ("ref", "r")]
BASE = meta1_base(cid_of("a", "r"), 2)
HURRY = {deadline.HEADER: "1000000"}


def test_without_a_request_there_is_no_end() -> None:
    assert deadline.left(7.0) == 7.0
    assert deadline.header() == {}


def test_what_is_left_shrinks_and_its_end_is_an_error() -> None:
    with deadline.within(5.0):
        assert 0 < deadline.left(60.0) <= 5.0
        assert deadline.left(1.0) == 1.0
        told = deadline.told(deadline.header()[deadline.HEADER])
        assert told is not None
        assert 0 < told <= 5.0 * deadline.SHARE
    with deadline.within(0.0), pytest.raises(ServiceError) as ended:
        deadline.check()
    assert ended.value.status == status.GATEWAY_TIMEOUT
    deadline.check()


def test_what_belongs_to_all_gets_the_time_it_needs() -> None:
    with deadline.within(0.0):
        with deadline.at_least(9.0):
            assert deadline.left(60.0) <= 9.0
        with pytest.raises(ServiceError):
            deadline.check()
    with deadline.within(50.0), deadline.at_least(1.0):
        assert deadline.left(60.0) > 9.0


@pytest.mark.parametrize("text", ["", "soon", "-1", "1" * 16, "1.5"])
def test_a_header_that_is_no_number_gives_no_end(text: str) -> None:
    assert deadline.told(text) is None


async def test_every_hop_has_less_time_than_the_one_before() -> None:
    seen: list[float] = []
    client = RpcClient()

    async def tell(args: Arguments) -> None:
        seen.append(deadline.left(3600.0))
        if args.text("next"):
            await client.call(args.text("next"), "tell", {"next": ""}, 600.0)

    servers = [RpcServer({"tell": tell}) for _ in range(2)]
    try:
        for server in servers:
            await server.start(HOST, 0)
        with deadline.within(60.0):
            await client.call(servers[0].address, "tell", {"next": servers[1].address}, 600.0)
        assert 60.0 > seen[0] > seen[1] > 0
        await client.call(servers[0].address, "tell", {"next": servers[1].address}, 600.0)
        assert seen[2:] == [3600.0, 3600.0], "the end of one request is not that of the next"
        with deadline.within(0.0), pytest.raises(ServiceError):
            await client.call(servers[0].address, "tell", {"next": ""}, 600.0)
        assert len(seen) == 4
    finally:
        await client.close()
        for server in servers:
            await server.stop()


@pytest.fixture
def _little_time_to_settle(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replicated, "SETTLING", 0.2)


async def write(running: Running, key: str, headers: dict[str, str] | None = None) -> int:
    body = json.dumps({"properties": {key: "x"}}).encode()
    path = "/v3.0/OPENIO/reference/set_properties"
    return (await running.ask("POST", path, REFERENCE, body, headers))[0]


async def properties(running: Running) -> dict[str, str]:
    code, body = await running.ask("POST", "/v3.0/OPENIO/reference/get_properties", REFERENCE, b"[]")
    assert code == 200, body
    found: dict[str, str] = body["properties"]
    return found


async def settled(running: Running) -> tuple[ReplicatedBase, list[ReplicatedBase]]:
    """The master of the reference's base and its slaves, once all have everything."""
    bases = [meta._bases[BASE] for meta in running.metas["meta1"]]
    async with asyncio.timeout(60):
        while len({(await base.copy.facts()).committed for base in bases}) > 1:
            await asyncio.sleep(0.05)
    (master,) = (base for base in bases if base.is_master())
    return master, [base for base in bases if base is not master]


@pytest.mark.usefixtures("_little_time_to_settle")
async def test_peers_do_not_write_what_its_client_has_given_up(tmp_path: Path) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 3}) as running:
        await running.ask("POST", "/v3.0/OPENIO/reference/create", REFERENCE, b'{"properties": {}}')
        assert await write(running, "before") == 204
        _, slaves = await settled(running)
        before = [await base.copy.facts() for base in slaves]
        with ExitStack() as slow:
            for base in slaves:
                await base.copy._io.acquire()
                slow.callback(base.copy._io.release)
            assert await write(running, "late", HURRY) == 503
            await asyncio.sleep(1.5)  # for the end of what the master gave them
        # They were next in the line for the disk, and did not use it.
        assert [(await base.copy.facts()).last_seq for base in slaves] == [facts.last_seq for facts in before]
        async with asyncio.timeout(60):
            while await write(running, "after") != 204:
                await asyncio.sleep(0.1)
        assert {"before", "after"} <= (await properties(running)).keys()


async def test_a_master_does_not_begin_what_its_client_has_given_up(tmp_path: Path) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 3}) as running:
        await running.ask("POST", "/v3.0/OPENIO/reference/create", REFERENCE, b'{"properties": {}}')
        assert await write(running, "before") == 204
        master, _ = await settled(running)
        facts = await master.copy.facts()
        async with master._leading:
            assert await write(running, "late", HURRY) == 503
        assert await write(running, "after") == 204
        assert (await master.copy.facts()).last_seq == facts.last_seq + 1
        assert (await properties(running)).keys() == {"before", "after"}
        assert master.is_master(), "a client in a hurry costs nobody the mastership"


async def test_a_hurried_client_does_not_have_services_marked_down(tmp_path: Path) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 3}) as running:
        await running.ask("POST", "/v3.0/OPENIO/reference/create", REFERENCE, b'{"properties": {}}')
        assert await write(running, "before") == 204
        master, _ = await settled(running)
        proxy: Any = next(one for one in running.started if hasattr(one, "proxy")).proxy
        async with master._leading:
            assert await write(running, "late", {deadline.HEADER: "200000"}) == 503
        assert proxy.directory.search.down == {}
