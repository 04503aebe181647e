"""Live variables that are obeyed: each changes what it says, at once."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from oio.service.live_variables import DEFAULTS
from oio.service.rpc import RpcClient
from oio.service.settings import OBEYED, OWN, Settings
from tests.oio.service.directory_in_process import Running, directory

PAGE = Path(__file__).parents[3] / "docs" / "oio" / "services.md"
META1 = [("acct", "a"), ("ref", "r"), ("type", "meta1")]


async def ask(running: Running, method: str, path: str, query: object = (), body: object = None) -> object:
    data = None if body is None else json.dumps(body).encode()
    status, answer = await running.ask(method, path, query, data)  # type: ignore[arg-type]
    assert 200 <= status < 300, answer
    return answer


async def set_variables(running: Running, service: str = "", /, **values: object) -> None:
    named = {name.replace("__", "."): value for name, value in values.items()}
    path, query = ("/v3.0/forward/config", [("id", service)]) if service else ("/v3.0/config", [])
    assert await ask(running, "POST", path, query, named) == dict.fromkeys(named, True)


async def create(running: Running, name: str) -> None:
    query = [("acct", "a"), ("ref", name)]
    await ask(running, "POST", "/v3.0/OPENIO/reference/create", query, {"properties": {}})


def test_those_that_are_obeyed_exist_and_are_documented() -> None:
    assert OBEYED.keys() <= DEFAULTS.keys()
    assert OWN.keys() <= OBEYED.keys()
    page = PAGE.read_text()
    for name, text in OBEYED.items():
        assert f"| `{name}` | {text} |" in page


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("proxy.request.max_delay", "0"),
        ("proxy.outgoing.timeout.common", "0.0"),
        ("sqliterepo.outgoing.timeout.req.replicate", "0"),
        ("sqliterepo.repo.hard_max", "1" * 19),
        ("sqliterepo.repo.hard_max", "-1"),
        ("proxy.cache.enabled", "perhaps"),
    ],
)
def test_values_that_would_do_harm_are_refused(name: str, value: str) -> None:
    settings = Settings()
    before = settings[name]
    assert settings.change({name: value}) == {name: False}
    assert settings[name] == before


async def test_the_proxys_are_obeyed(tmp_path: Path) -> None:
    rpc = RpcClient()
    try:
        async with directory(tmp_path, {"meta0": 1, "meta1": 1}) as running:
            echoes = ("GET", "/v3.0/OPENIO/conscience/list", [("type", "echo")])
            await set_variables(running, proxy__period__cs__downstream=100000)
            assert await ask(running, *echoes) == []
            service = {"type": "echo", "addr": "127.0.0.1:7001"}
            await rpc.call(running.conscience, "push", {"services": [service]})
            assert await ask(running, *echoes) == []
            await set_variables(running, proxy__cache__enabled="off")
            assert await ask(running, *echoes) != []
            await create(running, "r0")
            status: object = await ask(running, "GET", "/v3.0/cache/status")
            assert status["meta1"]["count"] == 0  # type: ignore[index]
            await set_variables(running, proxy__cache__enabled="on", resolver__cache__srv__max__default=2)
            for number in range(1, 8):
                await create(running, f"r{number}")
            status = await ask(running, "GET", "/v3.0/cache/status")
            assert (status["meta1"]["count"], status["meta1"]["max"]) == (2, 2)  # type: ignore[index]
            assert await ask(running, "GET", "/v3.0/OPENIO/local/list", [("type", "meta1")]) != []
            await set_variables(running, proxy__ttl__services__local=0)
            assert await ask(running, "GET", "/v3.0/OPENIO/local/list", [("type", "meta1")]) == []
            await set_variables(running, proxy__request__max_delay=1)
            shown = await running.ask("GET", "/v3.0/OPENIO/reference/show", META1)
            assert shown[0] == 503
            assert "time has run out" in shown[1]["message"]
            await set_variables(running, proxy__request__max_delay=60000000)
            await ask(running, "GET", "/v3.0/OPENIO/reference/show", [("acct", "a"), ("ref", "r1")])
    finally:
        await rpc.close()


async def test_those_of_a_service_are_obeyed(tmp_path: Path) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 3}) as running:
        for number in range(8):
            await create(running, f"r{number}")
        where = [("acct", "a"), ("ref", "r0"), ("type", "meta1")]
        states: object = await ask(running, "POST", "/v3.0/OPENIO/admin/status", where)
        [master] = [peer for peer, one in states.items() if one["status"]["status"] == 200]  # type: ignore[attr-defined]
        [service] = [meta for meta in running.metas["meta1"] if meta.node.name == master]
        await set_variables(running, master, sqliterepo__repo__hard_max=2)
        await create(running, "r9")
        async with asyncio.timeout(60):
            while service.node.repository.opened > 2:
                await create(running, "r9")
                await asyncio.sleep(0.05)
        await set_variables(running, master, sqliterepo__election__allow_master="off")
        await create(running, "r10")
        async with asyncio.timeout(60):
            while True:
                states = await ask(running, "POST", "/v3.0/OPENIO/admin/status", where)
                masters = [peer for peer, one in states.items() if one["status"]["status"] == 200]  # type: ignore[attr-defined]
                if masters and masters != [master]:
                    break
                await asyncio.sleep(0.05)
        assert not any(base.is_master() for base in service._bases.values())
