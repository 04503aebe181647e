"""`make demo`, as a newcomer runs it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from devgrid import preflight
from devgrid.layout import GridLayout
from tests.grid.machine import Machine

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]


def test_the_demo_ends_well_and_leaves_the_machine_as_it_was(tmp_path: Path) -> None:
    if missing := preflight.check(GridLayout(tmp_path, "demo", 2)):
        pytest.skip("no grid on this machine: " + "; ".join(str(each) for each in missing))
    before = Machine.now()
    done = subprocess.run(
        [sys.executable, "-m", "devgrid.demo"],
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
        env={**os.environ, "ZOS_GRID_STATE": str(tmp_path), "ZOS_PROFILES": str(tmp_path / "profiles")},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "demo ok" in done.stdout
    assert Machine.now().left_since(before) == {}
