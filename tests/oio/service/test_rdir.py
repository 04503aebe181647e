"""The reverse index, over HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from oio.service.rdir.server import Rdir
from tests.oio.service.recorded import exchanges
from tests.shared import report_count

VOLUME = "127.0.0.1:6031"
Ask = Any


@pytest.fixture
async def ask(tmp_path: Path) -> AsyncIterator[Ask]:
    service = Rdir(tmp_path)
    address = await service.start("127.0.0.1", 0)
    try:
        async with aiohttp.ClientSession() as session:

            async def one(method: str, verb: str, body: Any = None, volume: str = VOLUME) -> tuple[int, Any]:
                url = f"http://{address}/v1/rdir/meta2/{verb}"
                data = {"data": body} if isinstance(body, bytes) else {"json": body}
                async with session.request(method, url, params={"vol": volume}, **data) as answer:
                    return answer.status, await answer.json() if answer.content_length else None

            yield one
    finally:
        await service.stop()


def record(name: str, mtime: int = 1) -> dict[str, Any]:
    return {"container_url": f"OPENIO/a/{name}", "container_id": name[0].upper() * 64, "mtime": mtime}


async def test_the_recorded_exchanges_are_answered_alike(ask: Ask) -> None:
    compared = 0
    first = {"container_url": "OPENIO/vecacct/m2-b1", "mtime": 1600000000}
    cid = "100F144D7B26629D01970E94BF35A0A2A0AB09DD50D425EB92D5E7A7E01DA1E5"
    for name, exchange, _ in exchanges("meta2_database"):
        request, wanted = exchange["request"], exchange["response"]
        if "/v1/rdir/" not in request["path"] or request["query"] != [["vol", VOLUME]]:
            continue
        body = request["body"].encode() if request["body"] else b""
        status, answer = await ask(request["method"], request["path"].rsplit("/", 1)[1], body)
        if name == "rdir create index":
            assert (await ask("POST", "push", {**first, "container_id": cid}))[0] == 204
        assert status == wanted["status"], name
        # A limit of 1 is honoured here; upstream answers two records.
        if b'"limit":1}' not in body:
            assert answer == wanted["body"], name
        compared += 1
    report_count("directory exchanges (rdir)", compared)


async def test_records_come_in_pages_and_by_prefix(ask: Ask) -> None:
    assert await ask("POST", "create") == (201, None)
    for name in ("c", "a", "b"):
        assert await ask("POST", "push", record(name)) == (204, None)
    found, marker = [], None
    for _ in range(3):
        status, page = await ask("GET", "fetch", {"limit": 1, "marker": marker})
        assert status == 200
        found += [one["container_url"] for one in page["records"]]
        marker = found[-1]
    assert found == ["OPENIO/a/a", "OPENIO/a/b", "OPENIO/a/c"]
    assert not page["truncated"]
    assert (await ask("POST", "fetch", {"prefix": "OPENIO/a/b"}))[1]["records"][0]["container_id"] == "B" * 64
    assert await ask("POST", "delete", record("b")) == (204, None)
    assert len((await ask("GET", "fetch", {}))[1]["records"]) == 2


@pytest.mark.parametrize("verb", ["push", "delete", "fetch"])
async def test_an_unknown_volume_is_named_as_such(ask: Ask, verb: str) -> None:
    assert await ask("POST", verb, record("a")) == (404, {"status": 404, "message": "DB not found"})


@pytest.mark.parametrize(
    "body",
    [
        *(b"{", b"[]", b"\xff", {}, {"container_url": 1}),
        *({**record("a"), **wrong} for wrong in ({"mtime": "x"}, {"container_id": "xyz"})),
        {**record("a"), "container_url": "x" * 2000},
    ],
)
async def test_a_malformed_record_is_refused(ask: Ask, body: Any) -> None:
    await ask("POST", "create")
    status, answer = await ask("POST", "push", body)
    assert status == 400
    assert answer["message"]
    assert (await ask("GET", "fetch", {}))[1]["records"] == []


async def test_the_index_outlives_its_service(tmp_path: Path) -> None:
    for _ in range(2):
        service = Rdir(tmp_path)
        address = await service.start("127.0.0.1", 0)
        async with aiohttp.ClientSession() as session:
            url = f"http://{address}/v1/rdir/meta2"
            pushed = await session.post(f"{url}/push?vol={VOLUME}", json=record("a"))
            if pushed.status == 404:
                await session.post(f"{url}/create?vol={VOLUME}")
        await service.stop()
        await asyncio.sleep(0)
    assert pushed.status == 204
