"""Deleting a container: one operation, however it is interrupted, repeated or overtaken."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from oio.naming import cid_of, meta1_base
from oio.service import status
from oio.service.meta import MetaService
from oio.service.status import ServiceError
from oio.service.verbs.deletions import Deletion
from tests.oio.service.directory_in_process import Running, directory
from tests.oio.service.test_sweep import files, restarted, swept

NAME = [("acct", "a"), ("ref", "c")]
CID = cid_of("a", "c")


async def create(running: Running, value: str = "1") -> int:
    body = json.dumps({"properties": {"k": value}}).encode()
    return (await running.ask("POST", "/v3.0/OPENIO/container/create", NAME, body))[0]


async def destroy(running: Running, **query: str) -> tuple[int, Any]:
    return await running.ask("POST", "/v3.0/OPENIO/container/destroy", [*NAME, *query.items()])


async def shown(running: Running) -> tuple[int, Any]:
    code, body = await running.ask("GET", "/v3.0/OPENIO/container/show", NAME)
    return code, body["properties"] if code == 200 else body["status"]


async def linked(running: Running) -> list[str]:
    code, body = await running.ask("GET", "/v3.0/OPENIO/reference/show", [*NAME, ("type", "meta2")])
    assert code == 200, body
    return [row["host"] for row in body["srv"]]


def master(running: Running) -> MetaService:
    """The meta1 service that is master of the container's meta1 base."""
    base = meta1_base(CID, 2)
    return next(
        meta for meta in running.metas["meta1"] if base in meta._bases and meta._bases[base].is_master()
    )


async def noted(running: Running, force: bool = False) -> Deletion:
    """A deletion of the container that was noted, and nothing more, as if its master had died then."""
    meta = master(running)
    base = meta._bases[meta1_base(CID, 2)]
    found: list[Deletion] = []

    async def stop_there(_base: object, _peers: object, begun: Any) -> None:
        found.extend(begun)

    kept = meta.deletions.finish
    meta.deletions.finish = stop_there  # type: ignore[method-assign]
    try:
        await meta.deletions.delete(base, sorted(await base.copy.peers()), CID, "meta2", force)
    finally:
        meta.deletions.finish = kept  # type: ignore[method-assign]
    (one,) = found
    return one


async def finish(running: Running, deletion: Deletion) -> None:
    meta = master(running)
    base = meta._bases[meta1_base(CID, 2)]
    await meta.deletions.finish(base, sorted(await base.copy.peers()), [deletion])


async def test_a_container_goes_with_its_files_and_its_link_and_comes_again(tmp_path: Path) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 3, "meta2": 3}) as running:
        for value in ("1", "2"):
            assert await create(running, value) == 201
            assert await create(running, "other") == 204
            assert await shown(running) == (200, {"k": value})
            assert await destroy(running) == (204, None)
            assert files(tmp_path) == []
            assert await linked(running) == []
            assert (await destroy(running))[1] == {"status": 431, "message": "No service located"}


async def test_a_noted_deletion_is_completed_by_the_next_request_or_by_nobodys(tmp_path: Path) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 3, "meta2": 3}) as running:
        assert await create(running) == 201
        await noted(running)
        assert await create(running, "2") == 201, "the next one completes it and makes another"
        assert await shown(running) == (200, {"k": "2"})
        await noted(running)
        assert (await destroy(running))[0] == 204
        assert files(tmp_path) == []
        assert await create(running) == 201
        await noted(running)
        async with asyncio.timeout(60):
            while files(tmp_path) or await linked(running):
                await asyncio.sleep(0.1)


async def test_a_late_step_of_a_deletion_does_nothing_to_a_container_made_again(tmp_path: Path) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 3, "meta2": 3}) as running:
        assert await create(running, "old") == 201
        late = await noted(running)
        assert (await destroy(running))[0] == 204
        assert await create(running, "new") == 201
        with pytest.raises(ServiceError) as refused:
            await finish(running, late)
        assert refused.value.status == status.BASE_NOT_FOUND
        meta = master(running)
        assert (
            len(await meta.deletions._ask_each(late.base, late.peers, "base_bury", {"born": late.born})) == 3
        )
        assert await shown(running) == (200, {"k": "new"})
        assert len(files(tmp_path)) == 3
        assert len(await linked(running)) == 3


async def test_a_container_with_objects_stays_unless_forced_and_nothing_is_left_noted(tmp_path: Path) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 3, "meta2": 3}) as running:
        assert await create(running) == 201
        early = await noted(running)
        for meta in running.metas["meta2"]:
            base = next(iter(meta._bases.values()))
            if base.is_master():
                row = "INSERT INTO aliases VALUES('o', 1, x'00', 0, 0, 0)"
                await base.write(lambda db, row=row: db.execute(row) and None, await linked(running))  # type: ignore[misc]
        with pytest.raises(ServiceError) as refused:
            await finish(running, early)
        assert refused.value.status == status.CONTAINER_EXISTS
        assert (await destroy(running))[0] == 409
        assert await shown(running) == (200, {"k": "1"})
        assert (await destroy(running, force="1"))[0] == 204
        assert files(tmp_path) == []


async def test_a_replica_that_was_away_does_not_bring_a_deleted_container_back(tmp_path: Path) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 3, "meta2": 3}) as running:
        assert await create(running) == 201
        away = running.metas["meta2"][0]
        address = away.node.name
        await away.stop()
        async with asyncio.timeout(60):
            while (await destroy(running))[0] not in (204, 404):
                await asyncio.sleep(0.1)
        left = files(tmp_path)
        assert [path.parts[len(tmp_path.parts)] for path in left] == ["meta2-1"]
        back = await restarted(running, tmp_path, 1, address)
        running.metas["meta2"][0] = back
        with pytest.raises(ServiceError):
            await back._bases.get(late_base(), back._named(late_base())).status([address])
        assert await create(running, "new") == 201
        await swept(
            back, lambda: all(path not in files(tmp_path) for path in left) or len(files(tmp_path)) == 3
        )
        assert await shown(running) == (200, {"k": "new"})


def late_base() -> Any:
    """The base of the container's first sequence."""
    return Deletion(CID, "meta2", 1, "", 1).base


async def test_two_clients_that_make_and_delete_the_same_container_leave_nothing_in_between(
    tmp_path: Path,
) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 3, "meta2": 4}) as running:
        await create(running)

        async def make() -> None:
            for _ in range(8):
                assert await create(running, "made") in (201, 204, 503)

        async def delete() -> None:
            for _ in range(8):
                assert (await destroy(running))[0] in (204, 404, 503)

        await asyncio.gather(make(), delete(), make(), delete())
        async with asyncio.timeout(60):
            while await create(running, "last") not in (201, 204):
                await asyncio.sleep(0.1)
        assert (await shown(running))[0] == 200
        holders = sorted(await linked(running))
        volumes = {meta.volume.name: meta.node.name for meta in running.metas["meta2"]}
        async with asyncio.timeout(60):
            while sorted(volumes[path.parts[len(tmp_path.parts)]] for path in files(tmp_path)) != holders:
                for meta in running.metas["meta2"]:
                    await meta.sweep.once()
                await asyncio.sleep(0.1)
        async with asyncio.timeout(60):
            while (await destroy(running))[0] not in (204, 404):
                await asyncio.sleep(0.1)
        async with asyncio.timeout(60):
            while files(tmp_path):
                await asyncio.sleep(0.1)
