"""`dynamo-fleet` starts a fleet on one machine, shows it and ends it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from dynamo.dataformat import ConfigurationError
from dynamo.fleet.layout import Layout

from tests.dynamo.mariadb import is_installed
from tests.dynamo.single_server import LIMIT_S, SingleServer, wait_for


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from dynamo.tools.fleet import main; main()", *arguments],
        capture_output=True,
        text=True,
        timeout=4 * LIMIT_S,
        check=False,
    )


@pytest.fixture
def folder() -> Iterator[Path]:
    # Sockets have short names, so the folder lies right below /tmp.
    with tempfile.TemporaryDirectory(prefix="dyn-fleet-", dir="/tmp") as name:
        place = Path(name) / "f"
        yield place
        run("down", "--folder", str(place))


def check(folder: Path, servers: int) -> None:
    started = run("up", "--servers", str(servers), "--folder", str(folder))
    assert started.returncode == 0, started.stderr
    again = run("up", "--servers", str(servers), "--folder", str(folder))
    assert (again.returncode, again.stdout) == (0, started.stdout), again.stderr
    rows = json.loads(run("status", "--json", "--folder", str(folder)).stdout)
    assert [row["name"] for row in rows] == [f"dyn{number}" for number in range(servers)]
    assert all(row["server"] for row in rows)
    options = [*started.stdout.splitlines()[0].removeprefix("dynamo ").split(), "--json"]

    def online() -> bool:
        done = SingleServer.command_anywhere("dynamo.client.dynamo", options)
        found = [json.loads(line) for line in done.stdout.splitlines()]
        return sum(1 for row in found if row["status"] == "online") == servers

    wait_for(online, "All servers online")
    assert run("up", "--servers", "9", "--folder", str(folder)).returncode == 1
    assert run("down", "--folder", str(folder)).returncode == 0
    assert run("status", "--folder", str(folder)).returncode == 1
    assert run("down", "--remove", "--folder", str(folder)).returncode == 0
    assert not folder.exists()
    assert run("status", "--folder", str(folder)).returncode == 1


def test_a_fleet_of_one_needs_no_database(folder: Path) -> None:
    check(folder, 1)


@pytest.mark.timeout(900)
@pytest.mark.skipif(not os.environ.get("DYNAMO_LONG"), reason="`make test-dynamo` runs it")
@pytest.mark.skipif(not is_installed(), reason="mariadb-server is not installed")
def test_a_fleet_of_three_is_started_and_ended(folder: Path) -> None:
    check(folder, 3)


def test_a_layout_has_limits(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="1 to 9 can be"):
        Layout(tmp_path, 10, "127.1.1", "x")
    with pytest.raises(ConfigurationError, match="too long for a socket"):
        Layout(tmp_path / ("x" * 200), 1, "127.1.1", "x")
