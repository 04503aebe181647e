"""One master at a time, and the next one as soon as the lease allows: complaints B2 and B12."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import apsw
import pytest

from oio.naming import cid_of, meta1_base
from oio.service import status
from oio.service.meta import MetaService
from oio.service.replicated import ReplicatedBase
from oio.service.rpc import Arguments
from oio.service.status import ServiceError
from oio.service.verbs import meta1
from tests.oio.lease_stores import in_a_file
from tests.oio.service.directory_in_process import Running, directory

REFERENCE = [("acct", "a"), ("ref", "r")]
CID = cid_of("a", "r")
BASE = meta1_base(CID, 2)
AN_HOUR = 3600.0
pytestmark = in_a_file


async def write(running: Running, key: str, seconds: float = 30.0) -> int:
    body = json.dumps({"properties": {key: "x"}}).encode()
    headers = {"x-oio-timeout": str(int(seconds * 1e6))}
    path = "/v3.0/OPENIO/reference/set_properties"
    return (await running.ask("POST", path, REFERENCE, body, headers))[0]


async def written(running: Running) -> set[str]:
    code, body = await running.ask("POST", "/v3.0/OPENIO/reference/get_properties", REFERENCE, b"[]")
    assert code == 200, body
    return set(body["properties"])


async def made(running: Running) -> tuple[MetaService, list[MetaService]]:
    """The master of a reference's base, and the others."""
    await running.ask("POST", "/v3.0/OPENIO/reference/create", REFERENCE, b'{"properties": {}}')
    assert await write(running, "before") == 204
    metas = running.metas["meta1"]
    (master,) = (meta for meta in metas if meta._bases[BASE].is_master())
    return master, [meta for meta in metas if meta is not master]


async def change(base: ReplicatedBase, key: str) -> None:
    """What a write of the property does at the service that takes itself for the master."""
    peers = sorted(await base.copy.peers())
    await base.write(lambda db: meta1.set_properties(db, CID, {key: "x"}, flush=False), peers)


async def test_b2_a_master_that_still_believes_in_its_lease_commits_nothing(tmp_path: Path) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 3}, ttl=AN_HOUR) as running:
        old, others = await made(running)
        new = others[0]
        old_base, new_base = old._bases[BASE], new._bases[BASE]
        token, (lease,) = old_base.token, old.node.leadership._held.values()

        async def unheard(_args: Arguments) -> Any:
            raise ServiceError(status.NETWORK, "cut off")

        # Nobody tells the old one, and its own clock says that it has an hour left.
        old._server.verbs["peer_promise"] = unheard
        await old.node.leadership.store.release(lease)
        new.node.leadership._others.clear()
        await new_base.status(sorted(await new_base.copy.peers()))
        assert (old_base.is_master(), new_base.is_master()) == (True, True)
        assert new_base.token > token
        with pytest.raises(ServiceError, match="has taken over") as refused:
            await change(old_base, "lost")
        assert refused.value.status == status.UNAVAILABLE
        assert not old_base.is_master()
        await change(new_base, "kept")
        async with asyncio.timeout(60):
            while len({(await meta._bases[BASE].copy.facts()).committed for meta in [old, *others]}) > 1:
                await asyncio.sleep(0.1)
        for meta in [old, *others]:
            shown = await meta._bases[BASE].read(lambda db: meta1.properties(db, CID, ()), (), stale=True)
            assert shown.keys() == {"before", "kept"}


async def die(meta: MetaService) -> None:
    """End a service as a kill does: its leases stay behind."""
    await meta._server.stop()
    meta.node.leadership._held.clear()
    await meta.node.stop()


async def test_b12_the_next_master_waits_for_the_end_of_the_lease_and_for_nothing_else(
    tmp_path: Path,
) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 3}, ttl=AN_HOUR) as running:
        master, others = await made(running)
        await die(master)
        assert await write(running, "too-early", 2.0) == 503
        assert not any(meta._bases[BASE].is_master() for meta in others)
        leases = apsw.Connection(str(tmp_path / "leases"))
        leases.set_busy_timeout(10_000)
        leases.execute("UPDATE leases SET expires=0 WHERE key LIKE 'meta1@%'")
        leases.close()
        # An hour of lease, 1,800 s between renewals: only its end lets this succeed.
        assert await write(running, "after") == 204
        assert {"before", "after"} <= await written(running)


async def test_b12_a_master_that_ends_in_good_order_leaves_nothing_to_wait_for(tmp_path: Path) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 3}, ttl=AN_HOUR) as running:
        master, _ = await made(running)
        await master.stop()
        assert await write(running, "after") == 204
        assert await written(running) == {"before", "after"}
