"""A short search over all targets at once; `make fuzz` searches each for itself."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.fuzz.targets import TARGETS

RUNS = 40_000


@pytest.mark.parametrize("name", list(TARGETS))
def test_seeds_are_read_or_refused(name: str) -> None:
    target = TARGETS[name]
    for seed in target.seeds:
        try:
            target.read(seed)
        except target.refuses:
            pass


def test_what_coverage_leads_to_is_read_or_refused(tmp_path: Path) -> None:
    pytest.importorskip("atheris", reason="atheris has no wheel for this machine")
    command = [sys.executable, "-m", "tests.fuzz", "any", "--here", "--runs", str(RUNS), "--seconds", "60"]
    command += ["--folder", str(tmp_path / "corpus")]
    where = {**os.environ, "TMPDIR": str(tmp_path)}
    done = subprocess.run(command, env=where, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
