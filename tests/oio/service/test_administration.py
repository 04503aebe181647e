"""Who may administer, and what an operator can do to a base and to a service."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from oio.common.client import ProxyClient
from oio.directory.admin import AdminClient
from oio.service.proxy.server import ProxyServer, may_administer
from oio.service.settings import Settings
from tests.oio.lease_stores import in_a_file
from tests.oio.service.directory_in_process import Running, directory
from tests.oio.service.own_network import own_network

REFERENCE = [("acct", "a"), ("ref", "r")]
META1, META2 = [*REFERENCE, ("type", "meta1")], [*REFERENCE, ("type", "meta2")]
ELSEWHERE = "10.201.7.1"
GUARDED: list[tuple[str, str, list[tuple[str, str]], Any]] = [
    ("POST", "OPENIO/admin/has", META1, None),
    ("POST", "OPENIO/admin/set_properties", META1, {"properties": {"k": "v"}}),
    ("POST", "OPENIO/admin/meta0_force", [], {"0000": ["127.0.0.1:1"]}),
    ("GET", "forward/info", [("id", "127.0.0.1:1")], None),
    ("POST", "forward/kill", [("id", "127.0.0.1:1")], None),
    ("POST", "config", [], {"proxy.cache.enabled": "off"}),
]


async def ask(running: Running, method: str, path: str, query: Any = (), body: Any = None) -> tuple[int, Any]:
    data = None if body is None else json.dumps(body).encode()
    path = f"/v3.0/{path}" if path.startswith(("forward", "config")) else f"/v3.0/OPENIO/{path}"
    return await running.ask(method, path, query, data)


@pytest.mark.parametrize(
    ("caller", "told", "secret", "may"),
    [
        ("127.0.0.1", "", "s", True),
        ("::1", "", "", True),
        ("::ffff:127.0.0.1", "", "s", True),
        ("10.0.0.1", "s", "s", True),
        ("10.0.0.1", "", "s", False),
        ("10.0.0.1", "t", "s", False),
        ("10.0.0.1", "", "", False),
        ("fe80::1%eth0", "", "s", False),
        ("", "", "s", False),
        ("localhost", "", "s", False),
    ],
)
def test_who_has_the_admin_right(caller: str, told: str, secret: str, may: bool) -> None:
    assert may_administer(caller, told, secret) is may


@in_a_file  # from a network of its own the server of the others cannot be reached
@pytest.mark.root
async def test_from_another_address_nobody_administers_without_the_secret(tmp_path: Path) -> None:
    with own_network(ELSEWHERE):
        async with directory(tmp_path, {"meta0": 1, "meta1": 1}) as running:
            assert (await ask(running, "POST", "reference/create", REFERENCE, {"properties": {}}))[0] == 201
            proxy = ProxyServer("OPENIO", running.conscience, Settings(), admin_secret="known")
            running.started.insert(0, proxy)
            base = f"http://{await proxy.start(ELSEWHERE, 0)}/v3.0"
            async with aiohttp.ClientSession() as session:
                for method, path, query, body in GUARDED:
                    data = None if body is None else json.dumps(body)
                    for headers in ({}, {"x-oio-admin": "1"}, {"x-oio-admin-secret": "guessed"}):
                        async with session.request(
                            method, f"{base}/{path}", params=query, data=data, headers=headers
                        ) as answer:
                            assert answer.status == 403, path
                            assert "admin secret" in (await answer.json())["message"]
                async with session.get(f"{base}/OPENIO/reference/show", params=REFERENCE) as answer:
                    assert answer.status == 200
                known = {"x-oio-admin-secret": "known"}
                async with session.post(f"{base}/OPENIO/admin/has", params=META1, headers=known) as answer:
                    [told] = (await answer.json()).values()
                    assert Path(told["body"]).exists()
            assert (await ask(running, "GET", "config"))[1]["proxy.cache.enabled"] == "on"


def test_clients_tell_the_secret_that_they_were_given(monkeypatch: pytest.MonkeyPatch) -> None:
    conf = {"namespace": "OPENIO", "proxyd_url": "127.0.0.1:1"}
    monkeypatch.delenv("OIO_ADMIN_SECRET", raising=False)
    assert ProxyClient(conf).admin_secret == ""
    monkeypatch.setenv("OIO_ADMIN_SECRET", "from the environment")
    sent: dict[str, str] = {}
    AdminClient(conf)._add_headers(sent, 1, {})
    assert sent["x-oio-admin-secret"] == "from the environment"
    told = AdminClient({**conf, "admin_secret": "given"})
    assert told.admin_secret == told.forwarder.admin_secret == told.cache_client.admin_secret == "given"


async def test_a_frozen_base_takes_no_changes_and_a_disabled_one_answers_nothing(tmp_path: Path) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 1, "meta2": 3}) as running:
        body = {"properties": {"k": "v"}, "system": {}}
        assert (await ask(running, "POST", "container/create", REFERENCE, body))[0] == 201
        change = ("POST", "reference/set_properties", REFERENCE, {"properties": {"k": "w"}})
        look = ("POST", "reference/get_properties", REFERENCE, [])
        assert (await ask(running, *change))[0] == 204
        for act, states in (("freeze", (503, 200)), ("disable", (503, 503)), ("enable", (204, 200))):
            assert (await ask(running, "POST", f"admin/{act}", META1))[0] == 204
            answers = [await ask(running, *one) for one in (change, look)]
            assert tuple(code for code, _ in answers) == states
            assert all(told["status"] == 436 for code, told in answers if code == 503)
        assert (await ask(running, "POST", "admin/freeze", META2))[0] == 204
        refused = await ask(running, "POST", "admin/set_properties", META2, {"properties": {"k": "w"}})
        assert (refused[0], refused[1]["status"]) == (503, 436)
        assert (await ask(running, "POST", "container/destroy", REFERENCE))[0] == 503
        shown = await ask(running, "POST", "admin/get_properties", META2)
        assert shown[1]["properties"] == {"k": "v"}
        assert (await ask(running, "POST", "admin/enable", META2))[0] == 204
        assert (await ask(running, "POST", "container/destroy", REFERENCE))[0] == 204


async def test_masters_are_left_above_the_share_of_a_service_and_only_idle_ones(tmp_path: Path) -> None:
    async with directory(tmp_path, {"meta0": 1, "meta1": 3}) as running:
        for number in range(8):
            query = [("acct", "a"), ("ref", f"r{number}")]
            assert (await ask(running, "POST", "reference/create", query, {"properties": {}}))[0] == 201
        led = {meta.address: masters(meta) for meta in running.metas["meta1"]}
        busiest = max(led, key=led.__getitem__)
        assert led[busiest] > 3

        async def balanced(**values: str) -> int:
            query = [("id", busiest), *values.items()]
            code, left = await ask(running, "POST", "forward/balance-masters", query)
            assert code == 200, left
            return int(left)

        assert await balanced(max="0") == 0
        assert await balanced(max="9", inactivity="3600") == 0
        assert await balanced(max="9", inactivity="0") >= 1
        [meta] = [meta for meta in running.metas["meta1"] if meta.address == busiest]
        assert masters(meta) <= 3
        for wrong in (("max", "x"), ("inactivity", "-1")):
            query = [("id", busiest), wrong]
            assert (await ask(running, "POST", "forward/balance-masters", query))[0] == 400


def masters(meta: Any) -> int:
    return sum(base.is_master() for base in meta._bases.values())
