"""Loop devices are detached by the kernel when their holder is gone."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from devgrid.loop_device import LoopDevice, make_sparse

pytestmark = pytest.mark.root


def _attached(backing: Path) -> bool:
    shown = subprocess.run(
        ["losetup", "--associated", backing], capture_output=True, text=True, check=True, timeout=10
    )
    return bool(shown.stdout.strip())


def test_a_closed_device_is_detached(tmp_path: Path) -> None:
    backing = tmp_path / "disk.img"
    make_sparse(backing, 1 << 20)
    device = LoopDevice.attach(backing)
    assert _attached(backing)
    device.close()
    assert not _attached(backing)


def test_a_killed_holder_leaves_no_device(tmp_path: Path) -> None:
    backing = tmp_path / "disk.img"
    make_sparse(backing, 1 << 20)
    script = (
        "import sys, time; from pathlib import Path; from devgrid.loop_device import LoopDevice;"
        "device = LoopDevice.attach(Path(sys.argv[1])); print('held', flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", script, backing], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    assert holder.stdout.readline() == b"held\n"
    assert _attached(backing)
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait(5)
    holder.stdout.close()
    assert not _attached(backing)


def test_a_disk_keeps_its_content(tmp_path: Path) -> None:
    backing = tmp_path / "disk.img"
    make_sparse(backing, 4096)
    backing.write_bytes(b"kept")
    make_sparse(backing, 1 << 20)
    assert backing.read_bytes() == b"kept"
