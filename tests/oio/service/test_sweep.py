"""Copies of bases that were deleted, or given to others, while their peer was away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

from oio.naming import cid_of
from oio.service.meta import MetaService
from tests.oio.service.directory_in_process import HOST, Running, directory, leases_of

CONTAINERS = 10


def files(folder: Path) -> list[Path]:
    return [path for path in folder.glob("meta2-*/**/*.meta2") if ".held" not in path.parts]


async def restarted(running: Running, folder: Path, number: int, address: str) -> MetaService:
    """A meta2 service that starts again over its volume."""
    back = MetaService("meta2", "OPENIO", folder / f"meta2-{number}", leases_of(folder))
    await back.start(HOST, int(address.rpartition(":")[2]))
    running.started.insert(0, back)
    return back


async def swept(service: MetaService, condition: Callable[[], bool]) -> None:
    """Have a service look after its copies until the condition holds."""
    async with asyncio.timeout(60):
        while not condition():
            await service.sweep.once()
            await asyncio.sleep(0.1)


async def test_b6_no_file_is_left_of_containers_that_were_deleted_while_a_peer_was_away(
    tmp_path: Path,
) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 1, "meta2": 3}) as running:
        names = [[("acct", "a"), ("ref", f"c{number}")] for number in range(CONTAINERS)]
        for name in names:
            assert (await running.ask("POST", "/v3.0/OPENIO/container/create", name, b"{}"))[0] == 201
        assert len(files(tmp_path)) == 3 * CONTAINERS
        away = running.metas["meta2"][0]
        address = away.node.name
        await away.stop()
        for name in names:
            async with asyncio.timeout(60):
                while (await running.ask("POST", "/v3.0/OPENIO/container/destroy", name))[0] == 503:
                    await asyncio.sleep(0.1)
        assert len(files(tmp_path)) == CONTAINERS
        back = await restarted(running, tmp_path, 1, address)
        await swept(back, lambda: files(tmp_path) == [])


async def test_a_copy_is_swept_when_its_base_was_given_to_others_and_never_otherwise(tmp_path: Path) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 1, "meta2": 4}) as running:
        name = [("acct", "a"), ("ref", "c")]
        base = [*name, ("type", "meta2")]
        assert (await running.ask("POST", "/v3.0/OPENIO/container/create", name, b"{}"))[0] == 201
        here = {path.parts[len(tmp_path.parts)] for path in files(tmp_path)}
        metas = {f"meta2-{number}": meta for number, meta in enumerate(running.metas["meta2"], 1)}
        leaving = min(here)
        coming = next(iter(metas.keys() - here))
        address = metas[leaving].node.name
        await metas[leaving].stop()
        peers = [metas[one].node.name for one in (here - {leaving}) | {coming}]
        body = json.dumps({"system": {"sys.peers": ",".join(peers)}}).encode()
        async with asyncio.timeout(60):
            while (await running.ask("POST", "/v3.0/OPENIO/admin/set_properties", base, body))[0] != 204:
                await asyncio.sleep(0.1)
        back = await restarted(running, tmp_path, int(leaving[-1]), address)
        file = tmp_path / leaving / f"{cid_of('a', 'c')[:3]}/{cid_of('a', 'c')}.1.meta2"
        await swept(back, lambda: not file.exists())
        # The others keep theirs, even if one of them was removed in order to be rebuilt.
        removed = [*base, ("service_id", peers[0])]
        assert (await running.ask("POST", "/v3.0/OPENIO/admin/remove", removed))[0] == 200
        kept = next(meta for meta in [*metas.values(), back] if meta.node.name == peers[1])
        assert await kept.sweep.once() == 0
