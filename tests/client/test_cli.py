"""`zos` as people and scripts use it: what it prints where, and how it ends."""

from __future__ import annotations

import json
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from client import cli, following, profile, running
from client.profile import BusPart, ChainPart, Profile, UserPart
from rmb import BusUnavailable
from tests.client.fake_grid import USER, FakeGrid
from tests.client.files import DISK, PAIR
from tfchain import ChainUnavailable
from tfchain.keys import Identity

PROFILE = Profile(
    chain=ChainPart(urls=("ws://chain",)),
    bus=BusPart(redis="unix:///redis"),
    user=UserPart(key=Path("/key"), twin=USER),
)


class Zos:
    """Runs `zos` on a grid in memory."""

    def __init__(self, grid: FakeGrid, folder: Path) -> None:
        self.grid = grid
        self.folder = folder

    def run(self, *arguments: str) -> Result:
        return CliRunner().invoke(cli.app, list(arguments))

    def json(self, *arguments: str) -> list[Any]:
        """What it prints, which has to be JSON and nothing else, one document a line."""
        result = self.run(*arguments, "--json")
        assert result.exit_code == 0, result.stderr
        return [json.loads(line) for line in result.stdout.splitlines()]

    def file(self, text: str) -> str:
        path = self.folder / "deployment.yaml"
        path.write_text(text)
        return str(path)


@pytest.fixture
def zos(grid: FakeGrid, key: Identity, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Zos:
    async def connect(redis: str) -> FakeGrid:
        assert redis == PROFILE.bus.redis
        return grid

    monkeypatch.setattr(following, "POLL_FIRST_S", 0.001)
    monkeypatch.setattr(profile, "load", lambda name: PROFILE)
    monkeypatch.setattr(running, "connect", connect)
    monkeypatch.setattr(running, "Chain", lambda urls: grid.chain)
    monkeypatch.setattr(Identity, "load", lambda path, type: key)
    return Zos(grid, tmp_path)


def only_line(result: Result) -> str:
    """The one line on standard error of a command that failed."""
    assert result.stdout == ""
    lines: list[str] = result.stderr.splitlines()
    assert len(lines) == 1, lines
    return lines[0]


# -- JSON ------------------------------------------------------------------------------------------------------


def test_a_whole_life_in_json(zos: Zos) -> None:
    *events, last = zos.json("deploy", zos.file(PAIR))
    assert [event["kind"] for event in events[:4]] == ["contract", "contract", "accepted", "accepted"]
    assert {event["workload"] for event in events[4:]} == {"lan", "data", "front", "vm1", "vm2"}
    assert [one["contract"] for one in last["deployed"]] == [11, 12]

    (listed,) = zos.json("ls")
    assert [(one["name"], one["node"]) for one in listed] == [("pair", 1), ("pair", 2)]
    (shown,) = zos.json("get", "pair")
    states = {work["name"]: work["state"] for one in shown for work in one["workloads"]}
    assert states == dict.fromkeys(("lan", "data", "front", "vm1", "vm2"), "ok")

    *_, last = zos.json("update", zos.file(PAIR.replace("size: 1 GiB", "size: 2 GiB")))
    assert [one["version"] for one in last["deployed"]] == [1, 0]
    (history,) = zos.json("changes", "11")
    assert [one["version"] for one in history if one["name"] == "data"] == [0, 1]
    assert zos.json("cancel", "pair") == [{"cancelled": [11, 12]}]
    assert zos.json("ls") == [[]]


def test_nodes_in_json(zos: Zos) -> None:
    zos.grid.nodes[2].is_silent = True
    (found,) = zos.json("nodes")
    assert [(one["id"], one["up"]) for one in found] == [(1, True), (2, False)]


def test_json_holds_no_secret(zos: Zos) -> None:
    zos.json("deploy", zos.file(PAIR))
    network = zos.grid.nodes[1].deployments[11].get("lan").load()
    secret = network.wireguard_private_key  # type: ignore[union-attr]  # it is a network
    for command in (("get", "pair"), ("ls",), ("changes", "pair")):
        assert secret not in zos.run(*command, "--json").stdout


# -- for people ------------------------------------------------------------------------------------------------


def test_a_whole_life_for_people(zos: Zos) -> None:
    result = zos.run("deploy", zos.file(PAIR))
    assert result.exit_code == 0
    assert "contract 11 on node 1" in result.stdout
    assert "vm2" in result.stdout
    assert "Belgium" in zos.run("nodes").stdout
    assert "vm1 (ok)" in zos.run("ls").stdout
    assert "zmachine" in zos.run("get", "pair").stdout
    assert "version 0" in zos.run("changes", "pair").stdout
    assert "cancelled contract 11, contract 12" in zos.run("cancel", "pair").stdout


def test_texts_of_nodes_are_shown_as_they_are(zos: Zos) -> None:
    """Brackets are no markup, and a terminal obeys nobody but its user."""
    zos.run("deploy", zos.file(DISK % "1 GiB"))
    zos.grid.nodes[1].fails["data"] = "[bold]no disk[/] (needs [lan]) \x1b[2J"
    failed = zos.run("update", zos.file(DISK % "2 GiB"))
    assert failed.exit_code == 1
    shown = zos.run("changes", "disk").stdout
    assert "[bold]no disk[/] (needs [lan])" in shown
    assert "\x1b" not in shown + failed.stderr


# -- failures --------------------------------------------------------------------------------------------------


def test_a_check_that_fails_is_status_1_and_one_line(zos: Zos) -> None:
    zos.grid.nodes[1].is_silent = zos.grid.nodes[2].is_silent = True
    result = zos.run("deploy", zos.file(PAIR), "--json")
    assert result.exit_code == 1
    line = only_line(result)
    assert line.startswith("zos: not deployed, nothing was paid: node 1 (twin 101) does not answer")
    assert "node 2 (twin 102)" in line


def test_a_failure_half_way_says_what_was_undone(zos: Zos) -> None:
    zos.grid.nodes[2].refuses = "not\nenough memory"
    result = zos.run("deploy", zos.file(PAIR), "--json")
    assert result.exit_code == 1
    (line,) = result.stderr.splitlines()
    assert line == "zos: not enough memory; undone: contract 12 on node 2, contract 11 on node 1"
    assert all(json.loads(each) for each in result.stdout.splitlines())


@pytest.mark.parametrize("command", ["get", "cancel", "changes"])
def test_an_unknown_name_is_status_1(zos: Zos, command: str) -> None:
    result = zos.run(command, "nothing")
    assert result.exit_code == 1
    assert only_line(result) == "zos: no deployment 'nothing'; there are: none"


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (("deploy", "/no/such.yaml"), "cannot read /no/such.yaml"),
        (("update", "/no/such.yaml"), "cannot read"),
    ],
)
def test_a_file_that_cannot_be_used_is_status_2(zos: Zos, arguments: tuple[str, ...], part: str) -> None:
    result = zos.run(*arguments)
    assert result.exit_code == 2
    assert part in only_line(result)


def test_a_file_that_is_wrong_is_status_2_and_one_line(zos: Zos) -> None:
    result = zos.run("deploy", zos.file("name: [\nworkloads: {"))
    assert result.exit_code == 2
    assert "neither YAML nor JSON" in only_line(result)


@pytest.mark.parametrize("arguments", [("deploy",), ("nosuch",), ("ls", "--nosuch"), ("get",)])
def test_wrong_usage_is_status_2(zos: Zos, arguments: tuple[str, ...]) -> None:
    assert zos.run(*arguments).exit_code == 2


def test_a_chain_or_bus_that_is_away_is_status_1(zos: Zos, monkeypatch: pytest.MonkeyPatch) -> None:
    async def away(*_: object) -> None:
        raise ChainUnavailable("no endpoint answers: ws://chain")

    monkeypatch.setattr(zos.grid.chain, "nodes", away)
    result = zos.run("ls")
    assert (result.exit_code, only_line(result)) == (1, "zos: no endpoint answers: ws://chain")
    assert zos.grid.closed

    async def no_bus(redis: str) -> None:
        raise BusUnavailable("nothing answers at unix:///redis")

    zos.grid.chain.closed = False
    monkeypatch.setattr(running, "connect", no_bus)
    result = zos.run("ls")
    assert (result.exit_code, only_line(result)) == (1, "zos: nothing answers at unix:///redis")
    assert zos.grid.chain.closed


def test_a_profile_that_is_missing_is_status_1(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ZOS_PROFILES", str(tmp_path))
    result = CliRunner().invoke(cli.app, ["ls", "--profile", "main"])
    assert result.exit_code == 1
    assert "no profile 'main'" in only_line(result)


def test_a_namespace_that_is_gone_says_so(monkeypatch: pytest.MonkeyPatch, zos: Zos) -> None:
    gone = PROFILE.model_copy(update={"network": profile.NetworkPart(namespace="/proc/1/no/such")})
    monkeypatch.setattr(profile, "load", lambda name: gone)
    result = zos.run("ls")
    assert result.exit_code == 1
    assert "is gone: is the grid up?" in only_line(result)


# -- plug-ins --------------------------------------------------------------------------------------------------


def test_the_development_grid_is_a_plug_in() -> None:
    app = typer.Typer()
    app.command(name="ls")(lambda: None)
    cli.add_plugins(app)
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    assert "grid" in result.stdout
    assert CliRunner().invoke(app, ["grid", "--help"]).exit_code == 0


def test_a_plug_in_that_is_broken_is_named_and_the_rest_works(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = EntryPoint("broken", "no.such.module:app", "zos.plugins")
    monkeypatch.setattr(cli, "entry_points", lambda group: [broken])
    app = typer.Typer()
    app.command(name="ls")(lambda: None)
    app.command(name="get")(lambda: None)
    cli.add_plugins(app)
    assert "plug-in broken cannot be loaded" in capsys.readouterr().err
    assert CliRunner().invoke(app, ["ls"]).exit_code == 0
