"""The power goes at a random moment: whatever the disk holds then, the node comes to its end from it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from devgrid.loop_device import LoopDevice, make_sparse
from tests.faults import scope
from tests.shared import PROJECT, report_count

pytestmark = [pytest.mark.root, pytest.mark.timeout(3600)]

CUTS = scope.count(24, 1000)


def test_a_snapshot_of_the_disks_is_a_node_that_goes_on(tmp_path: Path) -> None:
    backing = tmp_path / "disk.img"
    make_sparse(backing, 1 << 30)
    device = LoopDevice.attach(backing)
    try:
        subprocess.run(["mkfs.btrfs", "-q", device.path], check=True, timeout=60)
        folder = tmp_path / "node"
        folder.mkdir()
        done = subprocess.run(
            ["unshare", "--mount", "--propagation", "private", sys.executable, "-m", "tests.faults.power_cut",
             str(folder), str(device.path), str(scope.SEED), str(CUTS)],
            cwd=PROJECT, capture_output=True, text=True, timeout=1000, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-4000:]
        told = json.loads(done.stdout.splitlines()[-1])
    finally:
        device.close()
    assert told["wrong"] == []
    report_count("power cuts", told["cuts"])
