"""The agent: its files, what it makes of checks, and a real service that comes and goes."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from oio.service.agent.agent import Watching
from oio.service.agent.cli import load, proxy_of
from oio.service.agent.configuration import BadConfiguration, parse_agent, parse_service
from oio.service.agent.health import Health
from oio.service.rdir.server import Rdir
from tests.oio.service.directory_in_process import Running, directory

AGENT = "namespace: OPENIO\ncheck_interval: 0.1\ninclude_dir: watch\n"
SERVICE = (
    "host: 127.0.0.1\nport: {port}\ntype: rdir\nlocation: s.r.h.v\nslots: [rdir, fast]\nservice_id: {id}\n"
)


def test_the_first_check_counts_at_once_then_rise_and_fall_are_needed() -> None:
    health = Health(rise=2, fall=3)
    results = [True, False, False, True, False, False, False, True, True]
    seen = [health.note(passed) for passed in results]
    assert seen == [True, True, True, True, True, True, False, False, True]


def test_two_files_with_one_address_are_both_dropped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "watch"
    folder.mkdir()
    (tmp_path / "agent.yml").write_text(AGENT)
    for name, port in (("a", 1), ("b", 2), ("c", 2)):
        (folder / f"{name}.yml").write_text(SERVICE.format(port=port, id=name))
    (folder / "d.yml").write_text("host: [")
    _, services = load(tmp_path / "agent.yml")
    assert [watched.service_id for watched in services] == ["a"]
    assert "b.yml and" in caplog.text
    assert "d.yml: no YAML" in caplog.text


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("namespace: X\nrise: 0", "rise"),
        ("check_interval: 1", "namespace"),
        ("- x", "mapping"),
        (": :", "YAML"),
    ],
)
def test_a_bad_file_is_refused_by_name_and_key(text: str, named: str) -> None:
    with pytest.raises(BadConfiguration, match=rf"agent\.yml.*{named}"):
        parse_agent("agent.yml", text)
    with pytest.raises(BadConfiguration, match="host"):
        parse_service("x.yml", "host: example.org\nport: 1\ntype: rdir")


def test_the_proxy_comes_from_the_namespace_file(tmp_path: Path) -> None:
    agent = parse_agent("agent.yml", "namespace: OPENIO")
    home = tmp_path / "home"
    (home / ".oio").mkdir(parents=True)
    (home / ".oio" / "sds.conf").write_text("[OPENIO]\nproxy = 127.0.0.1:1\n")
    system = tmp_path / "etc"
    assert proxy_of(agent, {"HOME": str(home)}, system) == "127.0.0.1:1"
    (system / "sds.conf.d").mkdir(parents=True)
    (system / "sds.conf.d" / "OPENIO").write_text("[OPENIO]\nproxy = 127.0.0.1:2\n")
    assert proxy_of(agent, {"HOME": str(home)}, system) == "127.0.0.1:2"
    with pytest.raises(BadConfiguration, match=r"no `proxy`.*sds\.conf"):
        proxy_of(parse_agent("agent.yml", "namespace: OTHER"), {"HOME": str(home)}, system)


async def listed(running: Running) -> list[Any]:
    status, body = await running.ask("GET", "/v3.0/OPENIO/conscience/list", [("type", "rdir"), ("full", "1")])
    assert status == 200
    assert isinstance(body, list)
    return body


async def until(running: Running, condition: Any) -> list[Any]:
    async with asyncio.timeout(60):
        while not condition(found := await listed(running)):
            await asyncio.sleep(0.1)
    return found


async def test_a_service_comes_up_goes_down_and_is_deregistered(tmp_path: Path) -> None:
    """Of the two proxies that the agent knows, the first one is down."""
    async with directory(tmp_path / "directory", {"meta0": 1, "meta1": 1}) as running:
        rdir = Rdir(tmp_path / "rdir")
        address = await rdir.start("127.0.0.1", 0)
        checks = "checks: [{type: tcp}, {type: asn1}]\nstats: [{type: volume, path: /}, {type: system}]\n"
        text = SERVICE.format(port=address.rpartition(":")[2], id="rdir-1") + checks
        agent = parse_agent("agent.yml", AGENT + "fall: 2\nderegister_on_exit: true\n")
        watching = Watching(
            agent, [parse_service("rdir.yml", text)], f"127.0.0.1:1;{running.url.removeprefix('http://')}"
        )
        stop = asyncio.Event()
        task = asyncio.create_task(watching.run(stop))
        try:
            found = await until(running, lambda found: bool(found) and found[0]["score"] > 0)
            assert found[0]["addr"] == address
            assert found[0]["tags"]["tag.service_id"] == "rdir-1"
            assert found[0]["tags"]["tag.slots"] == "rdir,fast"
            assert 0 <= found[0]["tags"]["stat.space"] <= 100
            await rdir.stop()
            await until(running, lambda found: found[0]["tags"]["tag.up"] is False and found[0]["score"] == 0)
        finally:
            stop.set()
            await task
            await rdir.stop()
        await until(running, lambda found: found == [])
