"""A meta1 base that gets its first write while it is given to other services: one base, whole, at the new ones."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from oio.common.exceptions import NotFound
from oio.directory.meta0 import Meta0Client, Meta0PrefixMapping
from oio.directory.relocation import Journal, Relocation, planned
from oio.naming import cid_of, meta1_base
from oio.service.proxy.server import ProxyServer
from oio.service.settings import Settings
from tests.oio.directory.services_in_memory import mapping_of as in_memory
from tests.oio.service.directory_in_process import HOST, Running, directory

REFERENCE = {"acct": "a", "ref": "r"}
CID = cid_of("a", "r")
BASE = CID[:2]
MOMENTS = ("before", "copied", "noted", "linked", "late", "dead", "dead-late", "done")
"""When the write comes. `late`: by a request that had read the old mapping; `dead`: while the tool lies killed."""
QUICK = ("late", "dead-late")


class Killed(BaseException):
    """The tool's process ends here."""


class Writer:
    """A client that makes the reference at one moment of the move, through a proxy that still knows the old mapping."""

    def __init__(self, running: Running, proxy: ProxyServer, url: str, moment: str) -> None:
        self.running, self.proxy, self.url, self.moment = running, proxy, url, moment
        self.loop = asyncio.get_running_loop()
        self.wrote = 0
        self.old: list[str] = []

    async def write(self) -> None:
        self.wrote += 1
        body = json.dumps({"properties": {"k": "first"}})
        path = f"{self.url}/v3.0/OPENIO/reference/create"
        async with self.running.session.post(path, params=REFERENCE, data=body) as answer:
            assert answer.status == 201, await answer.text()

    async def found_late(self) -> None:
        """What a request does that had read the mapping before it changed."""
        self.wrote += 1
        args = {"cid": CID, "account": "a", "ref": "r", "properties": {"k": "first"}, "found": True}
        call = self.proxy.proxy.directory.search.call
        assert await call(meta1_base(CID, 2), self.old, "ref_create", args, 30.0, repeat=False)

    def at(self, moment: str, late: bool = False) -> None:
        """Called by the tool's thread: writes when the moment is the wanted one."""
        if moment == self.moment and not self.wrote:
            act = self.found_late() if late else self.write()
            asyncio.run_coroutine_threadsafe(act, self.loop).result(60)


@asynccontextmanager
async def stale_proxy(running: Running) -> AsyncIterator[tuple[ProxyServer, str]]:
    """A second proxy, which has read the mapping."""
    proxy = ProxyServer("OPENIO", running.conscience, Settings())
    url = f"http://{await proxy.start(HOST, 0)}"
    try:
        await proxy.proxy.directory.mapping()
        yield proxy, url
    finally:
        await proxy.stop()


def mapping_of(running: Running) -> Meta0PrefixMapping:
    conf = {"namespace": "OPENIO", "proxyd_url": running.url.removeprefix("http://")}
    found = Meta0PrefixMapping(Meta0Client(conf), digits=2)
    found.load_meta0()
    return found


def peers_of(mapping: Meta0PrefixMapping) -> list[str]:
    return sorted(service["addr"] for service in mapping.services_by_base[BASE])


def move(running: Running, writer: Writer, journal_path: Path, dies: bool) -> None:
    """Take the base off one of its services; `dies`: the tool is killed once the directory names the new peers."""
    mapping = mapping_of(running)
    writer.old = peers_of(mapping)
    moved = mapping.decommission(writer.old[0], [BASE])
    copy_base, link = mapping.copy_base, mapping._apply_link_services

    def copying(base: str, **kwargs: Any) -> bool:
        done = copy_base(base, **kwargs)
        writer.at("copied")
        return done

    def linking(*args: Any, **kwargs: Any) -> None:
        writer.at("noted")
        link(*args, **kwargs)
        if dies:
            raise Killed
        writer.at("linked")
        writer.at("late", late=True)

    mapping.copy_base, mapping._apply_link_services = copying, linking  # type: ignore[method-assign]
    writer.at("before")
    with Journal(journal_path) as journal:
        journal.plan(planned(mapping, moved))
        try:
            assert Relocation(mapping, journal).run() == []
        except Killed:
            assert dies
    if dies:
        writer.at("dead")
        writer.at("dead-late", late=True)
        with Journal(journal_path) as journal:
            assert Relocation(mapping_of(running), journal).run() == []
    writer.at("done")


async def check(running: Running, url: str, old: list[str], folder: Path) -> None:
    """The base is at the new peers, by every account, and shows what was written."""
    wanted = await asyncio.to_thread(lambda: peers_of(mapping_of(running)))
    assert wanted != old
    for one in (running.url, url):
        async with running.session.post(
            f"{one}/v3.0/OPENIO/reference/get_properties", params=REFERENCE, data="[]"
        ) as answer:
            assert (await answer.json())["properties"] == {"k": "first"}
    where = [*REFERENCE.items(), ("type", "meta1")]
    code, body = await running.ask("POST", "/v3.0/OPENIO/admin/get_properties", where)
    assert code == 200, body
    assert sorted(body["system"]["sys.peers"].split(",")) == wanted
    volumes = {meta.volume.name: meta for meta in running.metas["meta1"]}

    def holders() -> list[str]:
        files = (path for path in folder.glob(f"meta1-*/*/{BASE}00.meta1"))
        return sorted(volumes[path.parts[len(folder.parts)]].node.name for path in files)

    async with asyncio.timeout(60):
        while holders() != wanted:
            for meta in volumes.values():
                await meta.sweep.once()
            await asyncio.sleep(0.1)


@pytest.mark.parametrize(
    "moment",
    [pytest.param(moment, marks=[] if moment in QUICK else [pytest.mark.long]) for moment in MOMENTS],
)
async def test_a_first_write_at_any_moment_of_a_move_is_kept_by_the_new_peers(
    tmp_path: Path, moment: str
) -> None:
    folder = tmp_path / "directory"
    async with directory(folder, {"meta0": 1, "meta1": 4}) as running, stale_proxy(running) as (proxy, url):
        writer = Writer(running, proxy, url, moment)
        await asyncio.to_thread(move, running, writer, tmp_path / "journal", moment.startswith("dead"))
        assert writer.wrote == 1
        await check(running, url, writer.old, folder)


def test_old_and_new_peers_without_a_common_majority_are_never_two_bases() -> None:
    """The base is founded at the old ones first, so that there is something to copy."""
    asked: list[str] = []

    class Admin:
        def set_peers(self, peers: list[str], **_where: Any) -> None:
            asked.append("set_peers")
            if len(asked) == 1:
                raise NotFound(http_status=404)

        def has_base(self, service_id: list[str], **_where: Any) -> dict[str, Any]:
            return {peer: {"status": {"status": 431}} for peer in service_id}

        def get_properties(self, **_where: Any) -> dict[str, Any]:
            asked.append("get_properties")
            return {}

        def copy_base_from(self, **_where: Any) -> None:
            asked.append("copy")

    services = [{"addr": f"10.0.0.{n}:1", "score": 100, "tags": {"tag.loc": f"s.r.h{n}.v"}} for n in range(6)]
    mapping = in_memory(services, digits=1)
    mapping._admin = Admin()  # type: ignore[assignment]
    keys = [service["addr"] for service in services]
    mapping.adopt("A", keys[:3], keys[3:])
    assert mapping.copy_base("A")
    assert asked == ["set_peers", "get_properties", "set_peers", "copy", "copy", "copy"]
