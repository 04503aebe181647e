"""What operators complained about, as far as the services decide it; each test bears the complaint's number."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from oio.service.leadership import Leadership
from oio.service.lease import Lease, LeaseError
from oio.service.lease.sqlite import SqliteLeases, make_lease_file
from oio.service.meta import MetaService
from tests.oio.service.directory_in_process import HOST, Running, directory, leases_of

REFERENCE = [("acct", "a"), ("ref", "r")]
META1 = [*REFERENCE, ("type", "meta1")]
BASES = 10_000


async def create(running: Running, name: str = "r") -> None:
    query = [("acct", "a"), ("ref", name)]
    status, body = await running.ask("POST", "/v3.0/OPENIO/reference/create", query, b'{"properties": {}}')
    assert status == 201, body


async def ok(running: Running, method: str, path: str, query: Any = (), body: Any = None) -> Any:
    """The body of an answer that must be a success."""
    data = None if body is None else json.dumps(body).encode()
    status, answer = await running.ask(method, f"/v3.0/OPENIO/{path}", query, data)
    assert 200 <= status < 300, answer
    return answer


class Counted(SqliteLeases):
    """A store that counts what is asked of it, and can be away."""

    asked = 0
    away = False

    async def acquire(self, key: str, holder: str, ttl: float, above: int = 0) -> Lease:
        self.asked += 1
        if self.away:
            raise LeaseError("away")
        return await super().acquire(key, holder, ttl, above)


async def test_b1_ten_thousand_bases_ask_for_a_lease_a_few_times_when_the_store_is_back(
    tmp_path: Path,
) -> None:
    make_lease_file(tmp_path / "leases")
    stores = [Counted(tmp_path / "leases"), Counted(tmp_path / "leases")]
    peers = [Leadership(store, f"{name}:1#x", 30.0) for store, name in zip(stores, "ab", strict=True)]
    keys = [f"meta1@{number}" for number in range(4)]
    for store in stores:
        store.away = True
    for peer in peers:
        with pytest.raises(LeaseError):
            await peer.acquire(keys[0])
    for store in stores:
        store.away, store.asked = False, 0
    for peer in peers:
        await asyncio.gather(*(peer.acquire(keys[base % 4]) for base in range(BASES)))
    for store in stores:
        assert store.asked <= 3 * len(keys)
        await store.close()


async def test_b3_a_peer_that_was_restarted_takes_part_again_without_being_asked(tmp_path: Path) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 3}) as running:
        await create(running)
        metas = running.metas["meta1"]
        for number, meta in enumerate(list(metas), 1):
            port = int(meta.node.name.rpartition(":")[2])
            await meta.stop()
            back = MetaService("meta1", "OPENIO", tmp_path / f"meta1-{number}", leases_of(tmp_path))
            await back.start(HOST, port)
            running.started.insert(0, back)
            metas[number - 1] = back
            async with asyncio.timeout(60):
                while not all([await settled(one) for one in metas]):
                    await asyncio.sleep(0.1)
            elections = [await one.verb_info(None) for one in metas]  # type: ignore[arg-type]
            assert sum(one["elections"]["master"] for one in elections) == 1


async def settled(meta: MetaService) -> bool:
    """Whether every election of this service is decided."""
    elections = (await meta.verb_info(None))["elections"]  # type: ignore[arg-type]
    total: int = elections["total"]
    return 0 < total == elections["slave"] + elections["master"]


async def test_b9_ill_formed_mappings_are_refused_by_key(tmp_path: Path) -> None:
    wrong = {
        "XYZ0": ["127.0.0.1:1"],
        "0001": "127.0.0.1:1",
        "0002": ["nope:"],
        "00": ["127.0.0.1:1"],
        "0003": [],
    }
    async with directory(tmp_path, {"meta0": 3, "meta1": 3}) as running:
        before = await ok(running, "GET", "admin/meta0_list")
        for key, value in wrong.items():
            body = json.dumps({"0000": ["127.0.0.1:1"], key: value}).encode()
            status, answer = await running.ask("POST", "/v3.0/OPENIO/admin/meta0_force", body=body)
            assert (status, key in answer["message"]) == (400, True)
        assert await ok(running, "GET", "admin/meta0_list") == before


async def test_b10_a_choice_without_a_type_is_refused(tmp_path: Path) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 1}) as running:
        answer = await running.ask("GET", "/v3.0/OPENIO/lb/choose")
        assert answer == (400, {"status": 400, "message": "Missing type"})


async def test_b11_an_emptied_type_is_empty_and_locking_makes_no_service(tmp_path: Path) -> None:
    service = {"type": "echo", "addr": "127.0.0.1:7001"}
    async with directory(tmp_path, {"meta0": 1, "meta1": 1}) as running:
        await running.push("echo", service["addr"])
        await ok(running, "POST", "conscience/deregister", body=service)
        assert await ok(running, "GET", "conscience/list", [("type", "echo")]) == []
        body = json.dumps(service).encode()
        assert (await running.ask("POST", "/v3.0/OPENIO/conscience/lock", body=body))[0] == 404
        assert await ok(running, "GET", "conscience/list", [("type", "echo")]) == []
        await ok(running, "POST", "conscience/lock", [("create", "1")], service)
        assert len(await ok(running, "GET", "conscience/list", [("type", "echo")])) == 1


async def test_b13_the_mapping_is_stored_and_asked_for_by_bases(tmp_path: Path) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 3}) as running:
        assert len(await ok(running, "GET", "admin/meta0_list", [("digits", "2")])) == 256
        assert len(await ok(running, "GET", "admin/meta0_list")) == 65536
        url = f"{running.url}/v3.0/OPENIO/admin/meta0_list"
        async with running.session.get(url) as first:
            tag = first.headers["ETag"]
        async with running.session.get(url, headers={"If-None-Match": tag}) as again:
            assert (again.status, await again.read()) == (304, b"")
        file = tmp_path / "meta0-1" / "OPENIO.meta0"
        assert file.stat().st_size < 1 << 20


async def test_b15_a_write_without_majority_is_shown_by_nobody_until_it_is_decided(tmp_path: Path) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 3}) as running:
        await create(running)
        await ok(running, "POST", "reference/set_properties", REFERENCE, {"properties": {"k": "before"}})
        status = await ok(running, "POST", "admin/status", META1)
        slaves = [m for m in running.metas["meta1"] if status[m.node.name]["status"]["status"] == 303]
        ports = [int(meta.node.name.rpartition(":")[2]) for meta in slaves]
        for meta in slaves:
            await meta.stop()
        body = json.dumps({"properties": {"k": "open"}}).encode()
        headers = {"x-oio-timeout": "1000000"}
        path = "/v3.0/OPENIO/reference"
        refused = await running.ask("POST", f"{path}/set_properties", REFERENCE, body, headers)
        assert refused[0] == 503
        shown = await running.ask("POST", f"{path}/get_properties", REFERENCE, b"[]", headers)
        assert shown[0] == 503 or shown[1]["properties"] == {"k": "before"}
        for meta, port in zip(slaves, ports, strict=True):
            back = MetaService("meta1", "OPENIO", meta.volume, leases_of(tmp_path))
            await back.start(HOST, port)
            running.started.insert(0, back)
        async with asyncio.timeout(60):
            while (
                await running.ask("POST", f"{path}/set_properties", REFERENCE, b'{"properties":{"n":"1"}}')
            )[0] != 204:
                await asyncio.sleep(0.1)
        decided = (await ok(running, "POST", "reference/get_properties", REFERENCE, []))["properties"]
        assert decided in ({"k": "before", "n": "1"}, {"k": "open", "n": "1"})


async def test_b16_a_row_points_to_nothing_unknown_and_relink_keeps_what_is_kept(tmp_path: Path) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 1, "meta2": 4}) as running:
        await create(running)
        linked = await ok(running, "POST", "reference/link", [*REFERENCE, ("type", "meta2")])
        hosts = [row["host"] for row in linked]
        kept = {"type": "meta2", "seq": 1, "args": "", "host": ",".join(hosts[:2])}
        going = {**kept, "host": hosts[2]}
        rows = await ok(
            running,
            "POST",
            "reference/relink",
            [*REFERENCE, ("type", "meta2")],
            {"kept": kept, "replaced": going},
        )
        now = {row["host"] for row in rows}
        assert now > set(hosts[:2])
        assert hosts[2] not in now
        for row in ({"host": "not a host"}, {"type": "echo"}):
            body = json.dumps({**kept, "seq": 9, **row}).encode()
            query = [*REFERENCE, ("type", "meta2")]
            assert (await running.ask("POST", "/v3.0/OPENIO/reference/force", query, body))[0] == 400


@pytest.mark.parametrize(
    ("bases", "moves"),
    [(1, 4), pytest.param(1000, 1, marks=[pytest.mark.long, pytest.mark.timeout(1800)])],
)
async def test_b17_a_base_that_was_moved_is_found_without_a_flush(
    tmp_path: Path, bases: int, moves: int
) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 1, "meta2": 4}) as running:
        for number in range(bases):
            where = [("acct", "a"), ("ref", f"r{number}")]
            created = {"properties": {"k": "v"}, "system": {}}
            await ok(running, "POST", "container/create", where, created)
        for number in range(bases):
            for turn in range(moves):
                await move(running, [("acct", "a"), ("ref", f"r{number}"), ("type", "meta2")], turn)
        for number in range(bases):
            query = [("acct", "a"), ("ref", f"r{number}"), ("type", "meta2")]
            found = await ok(running, "POST", "admin/get_properties", query)
            assert found["properties"] == {"k": "v", "turn": str(moves - 1)}


async def move(running: Running, query: list[tuple[str, str]], turn: int) -> None:
    """Move a base from one of its peers to the one that it is not on, and write and read it at once."""
    shown = await ok(running, "GET", "reference/show", query)
    old = [row["host"] for row in shown["srv"]]
    coming = next(m.node.name for m in running.metas["meta2"] if m.node.name not in old)
    peers = [*old[1:], coming]
    await ok(running, "POST", "admin/set_properties", query, {"system": {"sys.peers": ",".join(peers)}})
    await ok(running, "POST", "admin/copy", query, {"from": old[1], "to": coming})
    row = {"type": "meta2", "seq": 1, "args": "", "host": ",".join(peers)}
    await ok(running, "POST", "reference/force", [*query, ("replace", "yes")], row)
    await ok(running, "POST", "admin/remove", [*query, ("service_id", old[0])])
    await ok(running, "POST", "admin/set_properties", query, {"properties": {"turn": str(turn)}})
    found = await ok(running, "POST", "admin/get_properties", query)
    assert found["properties"] == {"k": "v", "turn": str(turn)}


async def test_b18_has_tells_whether_a_reference_exists(tmp_path: Path) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 1}) as running:
        await create(running)
        assert (await running.ask("GET", "/v3.0/OPENIO/reference/has", REFERENCE))[0] == 204
        missing = [("acct", "a"), ("ref", "x")]
        assert (await running.ask("GET", "/v3.0/OPENIO/reference/has", missing))[0] == 404


async def test_b19_vacuum_is_local_and_makes_no_version_jump(tmp_path: Path) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 3}) as running:
        await create(running)
        before = (await ok(running, "POST", "admin/get_properties", META1))["system"]
        await ok(running, "POST", "admin/vacuum", META1)
        after = (await ok(running, "POST", "admin/get_properties", META1))["system"]
        assert int(after.pop("sys.last_vacuum")) > 0
        jumps = {key for key in before if key.startswith("version:") and before[key] != after[key]}
        assert jumps == {"version:main.admin"}, "noting the time is the only change"
        info = await ok(running, "POST", "admin/info", META1)
        facts = {tuple(answer["body"]["facts"][1:3]) for answer in info.values()}
        assert len(facts) <= 2
