"""The tutorial, command by command as it stands on the page."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "oio" / "tutorial.md"
LIMIT = 300.0
"""Seconds that a command may take."""


class Reader:
    """Somebody who types what the page says."""

    def __init__(self, home: Path) -> None:
        self.typed: list[str] = []
        self.names: dict[str, str] = {}
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self.environment = {**os.environ, "HOME": str(home), "PATH": path, "COLUMNS": "200"}
        for name in ("OIO_ROOT", "OIO_NS", "OIO_ACCOUNT"):
            self.environment.pop(name, None)

    def run(self, line: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["bash", "-c", line], capture_output=True, text=True, env=self.environment, timeout=LIMIT
        )

    def ok(self, line: str) -> str:
        done = self.run(line)
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        return done.stdout

    def type(self, line: str) -> subprocess.CompletedProcess[str] | None:
        """Do one line of the page; None when it only sets variables."""
        for name, value in self.names.items():
            line = line.replace(name, value)
        self.typed.append(line)
        if line.startswith("export "):
            self.environment |= dict(word.split("=", 1) for word in shlex.split(line)[1:])
            return None
        return self.run(line)

    def look_up(self) -> None:
        """Find what the page leaves to its reader: the process of the master, the address of a meta1."""
        master = self.states()["200"]
        lines = self.ok("oio-directory status").splitlines()
        self.names["<process>"] = next(line.split()[-1] for line in lines if master in line)
        services = json.loads(self.ok("openio cluster list meta1 -f json"))
        # Any would do; not the one that has just been killed and is back.
        address = next(one["Addr"] for one in services if one["Addr"] != master)
        self.names |= {"<address of a meta1>": address, "<address>": address}

    def states(self) -> dict[str, str]:
        """Status -> peer of the reference's election."""
        rows = json.loads(self.run("openio election status meta1 photos -f json").stdout)
        return {str(row["Status"]): row["Id"] for row in rows}


@pytest.fixture
def reader(tmp_path: Path) -> Iterator[Reader]:
    found = Reader(tmp_path)
    yield found
    found.run("oio-directory down --purge")


@pytest.mark.long
@pytest.mark.timeout(1200)
def test_every_command_does_what_the_page_says(reader: Reader) -> None:
    blocks = re.findall(r"```\n(.*?)```", PAGE.read_text(), re.S)
    lines = [line.partition("  #")[0].strip() for block in blocks for line in block.splitlines() if line]
    killed = False
    for line in lines:
        if line.startswith("kill "):
            reader.look_up()
            victim = reader.states()["200"]
            killed = True
        done = reader.type(line)
        if done is None:
            continue
        assert done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
        if line == "openio election status meta1 photos":
            states = re.findall(r"\b(200|303)\b", done.stdout)
            assert sorted(states) == ["200", "303", "303"], done.stdout
        if line.startswith("openio reference show") and killed:
            assert "alive" in done.stdout
            assert "ann" in done.stdout
            status = reader.run("openio election status meta1 photos")
            assert status.returncode == 1
            assert "Connection refused" in status.stdout + status.stderr
            assert reader.states()["200"] != victim
        if "decommission" in line and "--dry-run" not in line:
            left = json.loads(reader.ok("openio directory dump"))
            assert not any(reader.names["<address>"] in peers for peers in left.values())
    assert len(reader.typed) == len(lines) > 15
    assert not (Path(reader.environment["HOME"]) / ".oio" / "directory").exists()
