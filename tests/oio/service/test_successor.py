"""A base that was deleted and made again while a peer was away: the peer takes the new one, whatever it had before."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from oio.service.meta import MetaService
from tests.oio.service.directory_in_process import HOST, Running, directory, leases_of

CONTAINER = [("acct", "a"), ("ref", "c")]
BASE = [*CONTAINER, ("type", "meta2")]


async def write(running: Running, **properties: str) -> None:
    body = json.dumps({"properties": properties}).encode()
    async with asyncio.timeout(60):
        while (await running.ask("POST", "/v3.0/OPENIO/admin/set_properties", BASE, body))[0] != 204:
            await asyncio.sleep(0.1)


async def properties(running: Running) -> Any:
    status, body = await running.ask("POST", "/v3.0/OPENIO/admin/get_properties", BASE)
    assert status == 200, body
    return body["properties"]


async def alike(running: Running) -> None:
    """Wait until all three copies stand at the same entry."""
    async with asyncio.timeout(60):
        while True:
            status, body = await running.ask("POST", "/v3.0/OPENIO/admin/info", BASE)
            assert status == 200, body
            seen = {str(answer["body"] and answer["body"]["facts"][1:]) for answer in body.values()}
            if len(seen) == 1 and len(body) == 3:
                return
            await asyncio.sleep(0.1)


async def test_a_stale_copy_is_replaced_by_that_of_the_base_which_has_its_name_now(tmp_path: Path) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 1, "meta2": 3}) as running:
        assert (await running.ask("POST", "/v3.0/OPENIO/container/create", CONTAINER, b"{}"))[0] == 201
        for number in range(20):
            await write(running, old=str(number))
        metas = running.metas["meta2"]
        away = metas[0].node.name
        await metas[0].stop()
        assert (await running.ask("POST", "/v3.0/OPENIO/container/destroy", CONTAINER))[0] == 204
        assert (await running.ask("POST", "/v3.0/OPENIO/container/create", CONTAINER, b"{}"))[0] == 201
        await write(running, new="1")
        back = MetaService("meta2", "OPENIO", tmp_path / "meta2-1", leases_of(tmp_path))
        await back.start(HOST, int(away.rpartition(":")[2]))
        metas[0] = back
        running.started.insert(0, back)
        await write(running, new="2")
        await alike(running)
        # Now the copy of the one that was away is needed for a majority.
        await metas[1].stop()
        await write(running, new="3")
        assert await properties(running) == {"new": "3"}
