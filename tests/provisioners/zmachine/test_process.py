"""Processes that outlive the daemon and are found again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

from provisioners.system import process
from provisioners.system.process import Launch, ProcessId, launcher_script, parse_stat, read_mark


def test_a_name_with_blanks_and_brackets_does_not_confuse() -> None:
    line = "42 (a) b (c) S 1 42 42 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1 2\n"
    assert parse_stat(line) == ProcessId(42, 987654)


def test_a_mark_names_a_process_from_its_first_instruction(tmp_path: Path) -> None:
    child = process.start(Launch(["sleep", "60"], tmp_path / "mark"), output=subprocess.DEVNULL)
    try:
        while (found := read_mark(tmp_path / "mark")) is None:
            pass
        assert found.pid == child.pid
        assert found.alive()
        assert os.getsid(child.pid) == child.pid
        assert not ProcessId(child.pid, found.start_time + 1).alive()
        ProcessId(child.pid, found.start_time + 1).signal(signal.SIGKILL)  # a later process: not touched
        assert found.alive()
    finally:
        child.kill()
        child.wait()
    assert not found.alive()


async def test_a_zombie_has_ended(tmp_path: Path) -> None:
    child = process.start(Launch(["true"], tmp_path / "mark"), output=subprocess.DEVNULL)
    one = parse_stat(Path(f"/proc/{child.pid}/stat").read_text())
    assert await one.wait(20)
    assert not one.alive()
    assert child.wait() == 0
    assert await one.wait(1)


async def test_waiting_has_a_limit_and_a_stubborn_one_is_killed(tmp_path: Path) -> None:
    stubborn = [sys.executable, "-c", "import signal,time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"]
    child = process.start(Launch(stubborn, tmp_path / "mark"), output=subprocess.DEVNULL)
    one = parse_stat(Path(f"/proc/{child.pid}/stat").read_text())
    assert not await one.wait(0.5)
    await process.end(one, grace=0.2)
    assert child.wait() == -signal.SIGKILL


def test_privileges_go_before_the_program_starts(tmp_path: Path) -> None:
    groups = [Path("/g/it's/cgroup.procs")]
    script = launcher_script(Launch(["qemu", "a b"], tmp_path / "mark", groups=groups, user=1_900_000_000))
    lines = script.splitlines()
    assert lines[-1] == (
        "exec setpriv --reuid=1900000000 --regid=1900000000 --clear-groups --no-new-privs "
        "--bounding-set=-all --inh-caps=-all qemu 'a b'"
    )
    assert "echo 0 >'/g/it'\"'\"'s/cgroup.procs'" in lines
