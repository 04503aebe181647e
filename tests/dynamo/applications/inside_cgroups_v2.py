"""Limits by control groups of version 2.  `test_cgroups_v2` runs this in a guest, as root and with nothing else on."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dynamo.applications.test_confinement import TAKING, check_processes_are_limited
from tests.dynamo.single_server import SingleServer, wait_for

MOUNT = Path("/sys/fs/cgroup")
UNIT = MOUNT / "system.slice/dynamod.service"
LIMITS = {"max_memory": 256 << 20, "max_processes": 24}


def begun_in(group: Path) -> tuple[str, ...]:
    """Begins a server in a group, as a service manager does; other commands stay where they are."""
    join = f'case "$*" in *dynamod*) echo $$ >{group}/cgroup.procs || exit;; esac; exec "$@"'
    return ("sh", "-c", join, "sh")


@pytest.fixture(scope="module", autouse=True)
def unit() -> None:
    UNIT.mkdir(parents=True)
    for folder in (MOUNT, UNIT.parent):
        (folder / "cgroup.subtree_control").write_text("+memory +pids")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SingleServer]:
    folder = tmp_path_factory.mktemp("unit")
    single = SingleServer(folder, applications_config=LIMITS, prefix=begun_in(UNIT))
    single.start()
    try:
        yield single
    finally:
        single.stop(signal.SIGKILL)


def group_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cgroup").read_text().strip()


def log_of(server: SingleServer) -> str:
    return (server.folder / "log" / "server.log").read_text()


def test_a_server_makes_room_for_the_groups_of_its_programs(server: SingleServer) -> None:
    assert "control groups of version 2: memory, pids\n" in log_of(server)
    assert group_of(server.pid) == f"0::/{UNIT.relative_to(MOUNT)}/server"
    asking = server.script("print(open('/proc/self/cgroup').read().strip())\n", "asking.py")
    shown = server.dynamo(asking).stdout.strip()
    assert shown.startswith(f"0::/{UNIT.relative_to(MOUNT)}/dynamo-{server.pid}-")


def test_a_program_that_takes_too_much_memory_is_ended_and_its_client_hears_why(server: SingleServer) -> None:
    done = server.dynamo(server.script(TAKING, "taking.py"))
    assert done.returncode != 0
    assert "all" not in done.stdout
    assert f"It used more than the {256 << 20} bytes of memory" in done.stderr


def test_a_program_that_starts_too_many_processes_cannot_start_more(server: SingleServer) -> None:
    check_processes_are_limited(server)


def test_a_server_that_was_killed_is_followed_by_one_that_sweeps(
    tmp_path: Path, server: SingleServer
) -> None:
    wait_for(lambda: not list(UNIT.glob(f"dynamo-{server.pid}-*")), "Removal of the groups")
    (UNIT / "dynamo-99999-1").mkdir()  # what a server leaves that was killed; nothing has this number
    other = SingleServer(tmp_path, applications_config=LIMITS, prefix=begun_in(UNIT / "server"))
    other.start()
    try:
        assert not (UNIT / "dynamo-99999-1").exists()
        assert "control groups of version 2: memory, pids\n" in log_of(other)
        assert group_of(other.pid) == group_of(server.pid)
    finally:
        other.stop(signal.SIGKILL)


def test_processes_of_others_are_left_where_they_are(tmp_path: Path) -> None:
    shared = MOUNT / "shared"
    shared.mkdir()
    sleeping = subprocess.Popen(["sleep", "3600"])
    single = SingleServer(tmp_path, applications_config=LIMITS, prefix=begun_in(shared))
    try:
        (shared / "cgroup.procs").write_text(str(sleeping.pid))
        single.start()
        assert f"NOT control groups (missing: process {sleeping.pid} is in the group" in log_of(single)
        assert group_of(sleeping.pid) == group_of(single.pid) == "0::/shared"
    finally:
        single.stop(signal.SIGKILL)
        sleeping.kill()
        sleeping.wait()
