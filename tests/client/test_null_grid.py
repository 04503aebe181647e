"""`zos` against real daemons: a grid without root, in which nothing is really made."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from devgrid import preflight
from devgrid.launcher import Grid
from devgrid.layout import CHAIN_PORT, GridLayout
from devgrid.profile import write_profile
from tests.client.files import PAIR

pytestmark = pytest.mark.timeout(180)
LIMIT_S = 90
PROJECT = Path(__file__).parents[2]
EXAMPLE = PROJECT / "docs/examples/manual.py"


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@pytest.fixture(scope="module")
def profiles(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The profile folder of a running grid of two nodes."""
    layout = GridLayout(tmp_path_factory.mktemp("g"), "null", 2, null=True)
    if missing := preflight.check(layout):
        pytest.skip("no grid on this machine: " + "; ".join(map(str, missing)))
    taken = [
        port
        for port in (CHAIN_PORT, 18051, *(node.bus_port for node in layout.members))
        if not _is_free(port)
    ]
    if taken:
        pytest.skip(f"another grid uses the ports {taken} of loopback: take it down")
    folder = tmp_path_factory.mktemp("profiles")
    before = os.environ.get("ZOS_PROFILES")
    os.environ["ZOS_PROFILES"] = str(folder)
    grid = Grid(layout)
    try:
        grid.up(lambda progress: None, detach=False)
        write_profile(grid)
        yield folder
    finally:
        grid.purge()
        os.environ.pop("ZOS_PROFILES")
        if before is not None:
            os.environ["ZOS_PROFILES"] = before


@pytest.fixture
def zos(profiles: Path) -> Iterator[Any]:
    """Runs `zos … --json`; returns its documents.  Whatever a test leaves is cancelled."""

    def run(*arguments: str, status: int = 0) -> list[Any]:
        done = subprocess.run(
            [sys.executable, "-m", "client.cli", *arguments, "--profile", "null", "--json"],
            capture_output=True,
            text=True,
            timeout=LIMIT_S,
            env={**os.environ, "ZOS_PROFILES": str(profiles)},
        )
        assert done.returncode == status, done.stderr
        assert len(done.stderr.splitlines()) <= 1, done.stderr
        run.said = done.stderr.strip()  # type: ignore[attr-defined]  # for tests of refusals
        return [json.loads(line) for line in done.stdout.splitlines()]

    yield run
    for one in run("ls")[0]:
        run("cancel", str(one["contract"]))


def _file(tmp_path: Path, text: str) -> str:
    path = tmp_path / "file.yaml"
    path.write_text(text)
    return str(path)


def _states(shown: list[Any]) -> dict[str, str]:
    return {work["name"]: work["state"] for one in shown for work in one["workloads"]}


def test_a_whole_life(zos: Any, tmp_path: Path) -> None:
    (nodes,) = zos("nodes")
    assert [(node["id"], node["up"]) for node in nodes] == [(1, True), (2, True)]

    *_, last = zos("deploy", _file(tmp_path, PAIR))
    assert [one["node"] for one in last["deployed"]] == [1, 2]
    (shown,) = zos("get", "pair")
    assert _states(shown) == dict.fromkeys(("lan", "data", "front", "vm1", "vm2"), "ok")

    *_, last = zos("update", _file(tmp_path, PAIR.replace("size: 1 GiB", "size: 2 GiB")))
    assert [one["version"] for one in last["deployed"]] == [1, 0]
    (history,) = zos("changes", "pair")
    assert [one["version"] for one in history if one["name"] == "data" and one["state"] == "ok"] == [0, 1]

    (gone,) = zos("cancel", "pair")
    assert len(gone["cancelled"]) == 2
    assert zos("ls") == [[]]


def test_a_node_that_joins_and_one_that_leaves(zos: Any, tmp_path: Path) -> None:
    alone = PAIR.split("  - { name: vm2")[0]
    zos("deploy", _file(tmp_path, alone))
    *_, last = zos("update", _file(tmp_path, PAIR))
    assert sorted(one["node"] for one in last["deployed"]) == [1, 2]
    *_, last = zos("update", _file(tmp_path, alone))
    assert [one["node"] for one in last["deployed"]] == [1]


def test_an_update_that_a_node_refuses_is_put_back(zos: Any, tmp_path: Path) -> None:
    """A machine cannot be updated."""
    zos("deploy", _file(tmp_path, PAIR))
    zos("update", _file(tmp_path, PAIR.replace("env: { A: b }", "env: { A: c }")), status=1)
    assert "does not support upgrade" in zos.said
    assert "put back" in zos.said
    (shown,) = zos("get", "pair")
    assert set(_states(shown).values()) == {"ok"}
    *_, last = zos("update", _file(tmp_path, PAIR.replace("size: 1 GiB", "size: 2 GiB")))
    assert last["deployed"][0]["version"] == 1


def test_more_than_a_node_has_costs_nothing(zos: Any, tmp_path: Path) -> None:
    zos("deploy", _file(tmp_path, PAIR.replace("size: 1 GiB", "size: 900 TiB")), status=1)
    assert "not deployed, nothing was paid: node 1 has" in zos.said
    assert zos("ls") == [[]]


def test_any_node(zos: Any, tmp_path: Path) -> None:
    text = "name: x\nnodes: { a: any }\nworkloads: [{ name: d, type: zmount, node: a, size: 1 GiB }]"
    *_, last = zos("deploy", _file(tmp_path, text))
    (placed,) = last["deployed"]
    *_, again = zos("update", _file(tmp_path, text.replace("1 GiB", "2 GiB")))
    assert again["deployed"][0]["contract"] == placed["contract"]


def test_the_example_of_the_manual_runs(zos: Any, profiles: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(EXAMPLE), "1", "http://127.0.0.1:8080/demo.tar.gz", "--profile", "null"],
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        env={**os.environ, "ZOS_PROFILES": str(profiles), "PYTHONPATH": str(PROJECT)},
    )
    assert done.returncode == 0, done.stderr
    *workloads, last = done.stdout.splitlines()
    assert [line.split()[:3] for line in workloads] == [
        ["lan", "network", "ok"],
        ["data", "zmount", "ok"],
        ["front", "ip", "ok"],
        ["vm", "zmachine", "ok"],
    ]
    assert zos("cancel", last.split()[1].strip(":")) == [{"cancelled": [int(last.split()[1].strip(":"))]}]


def test_a_plan_a_node_and_its_doctor(zos: Any, tmp_path: Path) -> None:
    (planned,) = zos("plan", _file(tmp_path, PAIR))
    assert [node["act"] for node in planned["nodes"]] == ["create", "create"]
    assert planned["monthly_usd"] > 0
    assert zos("ls") == [[]]
    (shown,) = zos("node", "show", "1")
    assert (shown["up"], shown["health"]["system_status_ok"], shown["gpus"]) == (True, True, [])
    assert shown["free"]["sru"] > 0
    # The grid's user is not its farmer.
    zos("node", "doctor", "1", status=1)
    assert "the farmer of farm 1, and you are twin" in zos.said
