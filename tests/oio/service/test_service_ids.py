"""Services that are known by stable ids: these are accepted wherever addresses are, and outlive them."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from oio.service.meta import MetaService
from tests.oio.service.directory_in_process import HOST, Running, directory, leases_of

REFERENCE = [("acct", "a"), ("ref", "r")]
META1 = [*REFERENCE, ("type", "meta1")]
META2 = [*REFERENCE, ("type", "meta2")]
IDS = {f"meta1-{number}" for number in (1, 2, 3)}


async def ok(running: Running, method: str, path: str, query: Any = (), body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    path = f"/v3.0/{path}" if path.startswith(("forward", "cache")) else f"/v3.0/OPENIO/{path}"
    status, answer = await running.ask(method, path, query, data)
    assert 200 <= status < 300, (path, answer)
    return answer


async def create(running: Running) -> None:
    await ok(running, "POST", "container/create", REFERENCE, {"properties": {"k": "v"}, "system": {}})


async def test_ids_are_accepted_wherever_addresses_are_and_stored_instead_of_them(tmp_path: Path) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 3, "meta2": 4}, named=True) as running:
        address = {meta.node.name: meta.address for metas in running.metas.values() for meta in metas}
        # The mapping was given by addresses.
        mapping = await ok(running, "GET", "admin/meta0_list", [("digits", "0")])
        assert set(mapping["0000"]) == IDS
        await create(running)
        shown = await ok(running, "GET", "reference/show", META2)
        assert {row["host"] for row in shown["dir"]} == IDS | {"meta0-1"}
        linked = [row["host"] for row in shown["srv"]]
        [spare] = {"meta2-1", "meta2-2", "meta2-3", "meta2-4"} - set(linked)
        status = await ok(running, "POST", "admin/status", META2)
        assert status.keys() == set(linked)
        for names in (linked[:2], [address[name] for name in linked[:2]]):
            told = await ok(running, "POST", "admin/has", [*META2, ("service_id", ",".join(names))])
            assert [told[name]["status"]["status"] for name in names] == [200, 200]
        # A move, once by addresses and back by ids.
        for coming, going, call in ((spare, linked[0], address.__getitem__), (linked[0], spare, str)):
            peers = [call(name) for name in [*linked[1:], coming]]
            await ok(
                running, "POST", "admin/set_properties", META2, {"system": {"sys.peers": ",".join(peers)}}
            )
            copied = {"from": call(linked[1]), "to": call(coming)}
            await ok(running, "POST", "admin/copy", META2, copied)
            row = {"type": "meta2", "seq": 1, "args": "", "host": ",".join(peers)}
            await ok(running, "POST", "reference/force", [*META2, ("replace", "yes")], row)
            await ok(running, "POST", "admin/leave", [*META2, ("service_id", call(going))])
            await ok(running, "POST", "admin/remove", [*META2, ("service_id", call(going))])
            found = await ok(running, "POST", "admin/get_properties", META2)
            assert set(found["system"]["sys.peers"].split(",")) == {*linked[1:], coming}
            assert found["properties"] == {"k": "v"}
            shown = await ok(running, "GET", "reference/show", META2)
            assert {one["host"] for one in shown["srv"]} == {*linked[1:], coming}
        for name in (linked[0], address[linked[0]]):
            where = [("type", "meta2"), ("service_id", name)]
            assert await ok(running, "GET", "conscience/resolve", where) == {"addr": address[linked[0]]}
            assert (await ok(running, "GET", "forward/info", [("id", name)]))["elections"]["total"] > 0
            await ok(running, "POST", "conscience/lock", body={"type": "meta2", "addr": name, "score": 9})
            assert (await ok(running, "GET", "conscience/score", where))["score"] == 9
            await ok(running, "POST", "conscience/unlock", body={"type": "meta2", "addr": name})
            assert (await ok(running, "GET", "conscience/score", where))["score"] == 100
            rows = await ok(running, "GET", "reference/linked", [*META2, ("host", name)])
            assert [row["name"] for row in rows["references"]] == ["r"]
        polled = await ok(
            running, "POST", "lb/poll", [("pool", "meta2")], {"known": [f"OPENIO|meta2|{linked[0]}"]}
        )
        assert len(polled) == 2
        assert not {one["addr"] for one in polled} & {linked[0], address[linked[0]]}
        await ok(running, "POST", "container/destroy", REFERENCE)
        assert not list(tmp_path.glob("meta2-*/*/*.meta2"))


async def test_a_service_goes_on_at_another_address(tmp_path: Path) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 3, "meta2": 3}, named=True) as running:
        await create(running)
        for turn, number in enumerate((1, 2, 3)):
            name = f"meta1-{number}"
            away = running.metas["meta1"][number - 1]
            before = away.address
            await away.stop()
            back = MetaService(
                "meta1",
                "OPENIO",
                tmp_path / name,
                leases_of(tmp_path),
                service_id=name,
                consciences=[running.conscience],
            )
            running.started.insert(0, back)
            await running.push("meta1", await back.start(HOST, 0), **{"tag.service_id": name})
            assert back.address != before
            services = await ok(running, "GET", "conscience/list", [("type", "meta1")])
            assert len([one for one in services if one["tags"]["tag.service_id"] == name]) == 1
            running.metas["meta1"][number - 1] = back
            await ok(
                running, "POST", "reference/set_properties", REFERENCE, {"properties": {f"k{turn}": "v"}}
            )
            async with asyncio.timeout(60):
                while not await alike(running):
                    await asyncio.sleep(0.1)
        found = await ok(running, "POST", "reference/get_properties", REFERENCE, [])
        assert found["properties"] == {"k0": "v", "k1": "v", "k2": "v"}


async def alike(running: Running) -> bool:
    """Whether all three copies of the meta1 base stand at the same entry."""
    told = await ok(running, "POST", "admin/info", META1)
    assert told.keys() == IDS
    facts = [answer["body"] and answer["body"]["facts"][1:3] for answer in told.values()]
    return bool(facts[0]) and all(one == facts[0] for one in facts)
