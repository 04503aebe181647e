"""Control groups of version 2 of a real kernel, whatever version this machine mounts."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.dynamo.guest import is_possible, run_in_guest

LIMIT_S = 1800.0
INSIDE = "tests/dynamo/applications/inside_cgroups_v2.py"


@pytest.mark.timeout(LIMIT_S + 120)
@pytest.mark.skipif(not os.environ.get("DYNAMO_LONG"), reason="`make test-dynamo` runs it")
@pytest.mark.skipif(not is_possible() and not os.environ.get("CI"), reason="no QEMU; `make setup` brings it")
def test_programs_are_limited_by_control_groups_of_version_2(tmp_path: Path) -> None:
    command = f"{sys.executable} -m pytest -p no:cacheprovider --basetemp=/tmp/bt -q --color=no"
    command += f" --timeout={LIMIT_S / 2:.0f} {INSIDE}"
    code, said = run_in_guest(tmp_path, f"{{ {command}; }}", LIMIT_S)
    assert code == 0, said[-8000:]
    assert "5 passed" in said
    assert "Memory cgroup out of memory" in said
