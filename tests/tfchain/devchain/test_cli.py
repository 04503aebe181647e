"""Options of `tfchain-dev`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from tfchain.devchain import cli


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would be served, instead of serving it."""
    seen: list[Any] = []

    async def serve(*arguments: Any) -> None:
        seen.extend(arguments)

    monkeypatch.setattr(cli, "_serve", serve)
    return seen


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(
    served: list[Any], tmp_path: Path
) -> None:
    file = tmp_path / "chain.toml"
    file.write_text('[devchain]\nhost = "10.0.0.1"\nport = 1000\nkeep = 7\n')
    result = CliRunner().invoke(
        cli.app, ["--config", str(file), "--host", "10.0.0.3"], env={"ZOS_DEVCHAIN_PORT": "2000"}
    )
    assert result.exit_code == 0, result.output
    assert (served[1], served[2], served[5]) == ("10.0.0.3", 2000, 7)


def test_an_unknown_key_names_the_nearest_known_one(served: list[Any], tmp_path: Path) -> None:
    file = tmp_path / "chain.toml"
    file.write_text("[devchain]\nprot = 1000\n")
    result = CliRunner().invoke(cli.app, ["--config", str(file)])
    assert result.exit_code == 2
    assert "port" in result.output
    assert not served


def test_a_broken_genesis_file_is_one_line_and_status_1(tmp_path: Path) -> None:
    file = tmp_path / "genesis.json"
    file.write_text("{")
    result = CliRunner().invoke(cli.app, ["--state", str(tmp_path / "c.db"), "--genesis", str(file)])
    assert result.exit_code == 1
    assert "genesis" in result.output
