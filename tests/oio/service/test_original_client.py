"""What unmodified tests of the original package found missing in the proxy."""

from __future__ import annotations

import re
from pathlib import Path

from tests.oio.service.directory_in_process import directory

LINE = re.compile(r'\w+\{service_id="[\d.:]+"\} [\w.]+')
BASE = "/v3.0/OPENIO"


async def test_numbers_of_a_service_are_exposed_to_prometheus(tmp_path: Path) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 1}) as running:
        query = [("id", running.metas["meta1"][0].node.name), ("format", "prometheus")]
        for path in ("stats", "info"):
            status, text = await running.ask("GET", f"/v3.0/forward/{path}", query)
            assert status == 200
            assert text
            assert all(LINE.fullmatch(line) for line in text.splitlines()), text


async def test_the_list_of_a_conscience_that_is_named(tmp_path: Path) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 1}) as running:
        path, kind = f"{BASE}/conscience/list", ("type", "meta1")
        own = await running.ask("GET", path, [kind, ("cs", running.conscience)])
        assert own == await running.ask("GET", path, [kind])
        assert (await running.ask("GET", path, [kind, ("cs", "127.0.0.1:1")]))[0] == 503
        assert (await running.ask("GET", path, [kind, ("cs", "nonsense")]))[0] == 400


async def test_more_services_than_there_are_cannot_be_chosen(tmp_path: Path) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 1}) as running:
        for size, wanted in (("1", 200), ("2", 503), ("10000", 503), ("65537", 400), ("9" * 5000, 400)):
            answer = await running.ask("GET", f"{BASE}/lb/choose", [("type", "meta1"), ("size", size)])
            assert answer[0] == wanted, answer
        status, answer = await running.ask("POST", f"{BASE}/lb/poll", [("policy", "unknown")])
        assert (status, answer["status"]) == (400, 480)


async def test_a_base_s_name_is_taken_for_its_container(tmp_path: Path) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 1}) as running:
        here = [("acct", "a"), ("ref", "r")]
        assert (await running.ask("POST", f"{BASE}/reference/create", here))[0] == 201
        shown = (await running.ask("GET", f"{BASE}/reference/show", here))[1]
        by_base = await running.ask("GET", f"{BASE}/reference/show", [("cid", f"{shown['cid']}.1")])
        assert by_base == (200, shown)
        for cid in (f"{shown['cid']}.", f"{shown['cid']}x1", f"{shown['cid']}.{'1' * 40}"):
            assert (await running.ask("GET", f"{BASE}/reference/show", [("cid", cid)]))[0] == 400
