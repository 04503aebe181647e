"""What a program cannot do, whoever may submit it."""

from __future__ import annotations

import errno
import json
import os
import signal
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from dynamo.core.applications.cgroups import Cgroups, Limits, probe
from dynamo.core.applications.seccomp import SeccompMissing, filter_program

from tests.dynamo.applications.processes import processes_with
from tests.dynamo.mariadb import MariaDB
from tests.dynamo.single_server import SingleServer, wait_for

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root confines others")

ATTEMPTS = """
import ctypes, json, os, socket, subprocess, sys, threading
libc = ctypes.CDLL(None, use_errno=True)
def call(number, *arguments):
    ctypes.set_errno(0)
    result = libc.syscall(number, *arguments)
    return ctypes.get_errno() if result < 0 else 0
def opened(*arguments):
    try:
        socket.socket(*arguments).close()
    except OSError as error:
        return error.errno
    return 0
found = {
    "ptrace": call(101, 0, 0, 0, 0), "unshare": call(272, 0x10000000),
    "mount": call(165, b"a", b"/mnt", b"tmpfs", 0, 0),
    "bpf": call(321, 0, 0, 0), "keyctl": call(250, 0, 0), "io_uring": call(425, 1, 0), "clone3": call(435, 0, 0),
    "userfaultfd": call(323, 0), "process_vm_readv": call(310, 1, 0, 0, 0, 0, 0), "setns": call(308, 0, 0),
    "x32": call(0x40000000 + 39), "clone_user": call(56, 0x10000000 | 17, 0, 0, 0, 0),
    "ioctl": call(16, 0, 0x5412, b"x"),
    "inet": opened(socket.AF_INET, socket.SOCK_STREAM), "unix": opened(socket.AF_UNIX, socket.SOCK_STREAM),
    "packet": opened(socket.AF_PACKET, socket.SOCK_RAW), "vsock": opened(40, socket.SOCK_STREAM),
}
threads = [threading.Thread(target=lambda: None) for _ in range(3)]
for thread in threads:
    thread.start()
    thread.join()
found["subprocess"] = subprocess.run([sys.executable, "-c", "print(6 * 7)"], capture_output=True, text=True).stdout
one, other = socket.socketpair()
one.sendall(b"x")
found["socketpair"] = other.recv(1).decode()
found["seen"] = sorted(int(name) for name in os.listdir("/proc") if name.isdigit())
found["pid"] = os.getpid()
found["user"] = os.getuid()
found["areas"] = os.listdir("..")
found["own"] = os.path.basename(os.getcwd())
found["environment"] = sorted(os.environ)
print(json.dumps(found))
"""

TAKING = """
kept = []
for _ in range(40):
    kept.append(bytearray(b'x') * (16 << 20))
print('all')
"""
FORKING = """
import os, time
count = 0
try:
    while count < 100:
        if os.fork() == 0:
            time.sleep(600)
        count += 1
except OSError as error:
    print(error.errno, count)
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SingleServer]:
    single = SingleServer(
        tmp_path_factory.mktemp("confined"),
        applications_config={"max_memory": 256 << 20, "max_processes": 24},
    )
    single.start()
    try:
        yield single
    finally:
        single.stop(signal.SIGKILL)


def _attempts(server: SingleServer, *options: str) -> dict[str, Any]:
    done = server.dynamo(*options, server.script(ATTEMPTS, "attempts.py"))
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


@ROOT
def test_calls_that_manage_the_machine_are_refused_and_those_that_programs_need_are_not(
    server: SingleServer,
) -> None:
    found = _attempts(server)
    refused = (
        "ptrace unshare mount bpf keyctl io_uring userfaultfd process_vm_readv setns x32 clone_user ioctl"
    )
    for name in refused.split(" "):
        assert found[name] == errno.EPERM, name
    assert found["clone3"] == errno.ENOSYS
    assert (found["subprocess"], found["socketpair"]) == ("42\n", "x")
    assert found["user"] != 0


@ROOT
def test_there_is_no_network_without_a_right_to_it(server: SingleServer) -> None:
    found = _attempts(server)
    assert {found[name] for name in ("inet", "unix", "packet", "vsock")} == {errno.EACCES}
    found = _attempts(server, "-H")
    assert (found["inet"], found["unix"]) == (0, 0)
    assert (found["packet"], found["vsock"]) == (errno.EAFNOSUPPORT, errno.EAFNOSUPPORT)


@ROOT
def test_a_program_sees_neither_other_processes_nor_other_work_areas(server: SingleServer) -> None:
    server.dynamo(server.script("print(1)\n", "other.py"))
    assert len(list(server.work_base.iterdir())) > 1
    found = _attempts(server)
    assert found["seen"] == [1, found["pid"]]
    assert found["areas"] == [found["own"]]
    assert not [name for name in found["environment"] if "DYNAMO" in name]


@ROOT
def test_a_program_that_takes_too_much_memory_is_ended_and_its_client_hears_why(server: SingleServer) -> None:
    done = server.dynamo(server.script(TAKING, "taking.py"))
    assert done.returncode != 0
    assert "all" not in done.stdout
    if probe().places.get("memory"):
        assert f"It used more than the {256 << 20} bytes of memory" in done.stderr
    assert server.dynamo(server.script("print(1)\n", "other.py")).stdout == "1\n"


def check_processes_are_limited(server: SingleServer) -> None:
    """Have a program start processes until it cannot; the server's limit is 24."""
    done = server.dynamo(server.script(FORKING, "forking.py"))
    assert done.returncode == 0, done.stderr
    number, count = (int(word) for word in done.stdout.split())
    assert number == errno.EAGAIN
    assert 10 < count < 24


@ROOT
@pytest.mark.skipif("pids" not in probe().places, reason="this machine limits no numbers of processes")
def test_a_program_that_starts_too_many_processes_cannot_start_more(server: SingleServer) -> None:
    check_processes_are_limited(server)


@ROOT
def test_groups_are_gone_when_programs_are(server: SingleServer) -> None:
    server.dynamo(server.script("print(1)\n", "other.py"))

    def left() -> list[Path]:
        places = set(probe().places.values())
        return [path for place in places for path in place.glob(f"dynamo-{server.pid}-*")]

    server.dynamo(server.script("print(1)\n", "other.py"))
    wait_for(lambda: not left(), "Removal of the groups")


@ROOT
def test_programs_end_with_their_server_even_when_that_is_killed(tmp_path: Path) -> None:
    places = set(probe().places.values())
    killed = SingleServer(tmp_path)
    killed.start()
    pid = killed.pid
    mark = f"orphan-of-{pid}"
    try:
        path = killed.script(
            "import subprocess, sys, time\n"
            f"subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)', {mark!r}],"
            " start_new_session=True)\ntime.sleep(600)\n",
            "sleeping.py",
        )
        killed.dynamo("-A", path)
        wait_for(lambda: processes_with(mark), "Start of the program")
    finally:
        killed.stop(signal.SIGKILL)
    wait_for(lambda: not processes_with(mark), "End of the program")
    left = [path for place in places for path in place.glob(f"dynamo-{pid}-*")]
    assert len(left) == len(places)

    def swept() -> bool:
        probe().sweep()  # a group stays while what was in it is still dying
        return not any(path.exists() for path in left)

    wait_for(swept, "Removal of the groups")


def test_the_server_says_at_its_start_what_holds_programs(server: SingleServer) -> None:
    log = (server.folder / "log" / "server.log").read_text()
    assert "Programs are confined: " in log
    if os.geteuid() == 0:
        assert "own user, files, network and calls of the kernel" in log
        assert "Programs are confined: name space of processes" in log
    else:
        assert "NOT another user, and name spaces: the server is not root" in log


SEARCH = """
import ctypes, gc, json, re, sys
wanted = bytes(number ^ 1 for number in {hidden!r})
gc.unfreeze()
known, queue, found = set(), [*gc.get_objects(), sys.modules], []
while queue:
    value = queue.pop()
    if id(value) in known or value is known or value is queue or value is found:
        continue
    known.add(id(value))
    text = value.encode("utf-8", "replace") if isinstance(value, str) else value
    if isinstance(text, bytes) and wanted in text and value is not wanted:
        found.append(type(value).__name__)
    elif not isinstance(value, (str, bytes, int, float)):
        queue.extend(gc.get_referents(value))
in_memory = 0
for line in open("/proc/self/maps"):
    words = line.split()
    if "r" in words[1][0] and (words[4] == "0" and not words[-1].startswith("[v")):
        low, high = (int(word, 16) for word in words[0].split("-"))
        try:
            in_memory += len(re.findall(re.escape(wanted), ctypes.string_at(low, high - low)))
        except (ValueError, OverflowError):
            continue
print(json.dumps([found, in_memory, len(known)]))
"""


@ROOT
def test_no_object_of_a_program_shows_a_password_of_its_server(tmp_path: Path, mariadb: MariaDB) -> None:
    password = "a-Password-that-nobody-guesses"
    mariadb.run(
        f"CREATE USER keeper IDENTIFIED BY '{password}'",
        "GRANT ALL PRIVILEGES ON `confined%`.* TO keeper",
    )
    try:
        params = {
            name: {**mariadb.create(f"confined{name}"), "user": "keeper", "passwd": password}
            for name in ("master", "store")
        }
        server = SingleServer(
            tmp_path,
            master={"db_params": params["master"]},
            store={"module": "mysqlstore:MySQLInventoryStore", "config": {"db_params": params["store"]}},
        )
        server.start()
        try:
            # The text itself is not to be in the program.
            hidden = bytes(number ^ 1 for number in password.encode())
            done = server.dynamo("-H", server.script(SEARCH.format(hidden=hidden), "search.py"))
            assert done.returncode == 0, done.stderr
            found, in_memory, looked_at = json.loads(done.stdout)
            assert looked_at > 10_000
            assert found == []
            print(f"copies in memory that no object shows: {in_memory}")
        finally:
            server.stop(signal.SIGKILL)
    finally:
        mariadb.run("DROP USER keeper")
        for name in ("master", "store"):
            mariadb.drop(f"confined{name}")


TAKE_OVER = """
from dynamo.core.executable import inventory
database = inventory._store.database
for statement in ("SET SESSION tx_read_only = 0", "DELETE FROM sites"):
    try:
        database.rollback()
        database.execute(statement)
    except Exception as error:
        print(error)
print(sorted(inventory.sites.keys()))
"""


@ROOT
def test_the_connection_of_a_program_belongs_to_a_user_that_cannot_write(
    tmp_path: Path, mariadb: MariaDB
) -> None:
    params = mariadb.create("readonly_store")
    mariadb.run("CREATE USER looks IDENTIFIED BY 'looks'", "GRANT SELECT ON readonly_store.* TO looks")
    try:
        server = SingleServer(
            tmp_path,
            store={
                "module": "mysqlstore:MySQLInventoryStore",
                "config": {"db_params": params},
                "readonly_config": {"db_params": {**params, "user": "looks", "passwd": "looks"}},
            },
        )
        server.start()
        try:
            writer = server.script(
                "from dynamo.core.executable import inventory\nfrom dynamo.dataformat import Site\n"
                "inventory.update(Site('Kept'))\n",
                "writer.py",
            )
            server.run("exec_auth", "-x", writer, "-t", "writer")
            assert server.dynamo("-W", "-t", "writer", writer).returncode == 0
            done = server.dynamo("-H", server.script(TAKE_OVER, "take_over.py"))
            assert "DELETE command denied to user 'looks'" in done.stdout
            assert "['Kept']" in done.stdout
            assert mariadb.rows("SELECT name FROM readonly_store.sites") == [("Kept",)]
        finally:
            server.stop(signal.SIGKILL)
    finally:
        mariadb.run("DROP USER looks")
        mariadb.drop("readonly_store")


def test_a_filter_is_known_for_two_architectures_and_ends_by_allowing() -> None:
    for machine, number in (("x86_64", 0xC000003E), ("aarch64", 0xC00000B7)):
        for with_network in (False, True):
            program = filter_program(machine, with_network)
            steps = list(struct.iter_unpack("=HBBI", program))
            assert len(steps) < 4096
            assert steps[1] == (0x15, 1, 0, number)
            assert steps[-1] == (0x06, 0, 0, 0x7FFF0000)
            for place, (code, if_so, if_not, _) in enumerate(steps):
                if code in (0x15, 0x35, 0x45):
                    assert place + 1 + max(if_so, if_not) < len(steps)
    with pytest.raises(SeccompMissing, match="no filter of calls is known for sparc"):
        filter_program("sparc", False)


class FakeV2:
    """The files of a hierarchy of version 2, as a service manager gives a part of it away."""

    def __init__(self, mount: Path, controllers: str) -> None:
        self.place = mount / "system.slice/dynamod.service"
        self.place.mkdir(parents=True)
        (mount / "cgroup.controllers").write_text(controllers)
        (self.place / "cgroup.controllers").write_text(controllers)
        (self.place / "cgroup.subtree_control").write_text("memory pids")
        self.mount = mount


def test_version_2_is_used_where_its_controllers_were_given_away(tmp_path: Path) -> None:
    fake = FakeV2(tmp_path, "cpu memory pids")
    found = probe(tmp_path, "0::/system.slice/dynamod.service\n")
    assert (found.version, found.missing) == (2, "")
    group = found.make("1-1", Limits(5 << 20, 7))
    assert group is not None
    assert group.folders == (fake.place / "dynamo-1-1",)
    assert (fake.place / "dynamo-1-1/memory.max").read_text() == str(5 << 20)
    assert (fake.place / "dynamo-1-1/pids.max").read_text() == "7"
    (fake.place / "dynamo-1-1/memory.events").write_text("low 0\noom 1\noom_kill 1\n")
    assert group.ran_out_of_memory()


def test_what_cannot_be_limited_is_said_with_its_reason(tmp_path: Path) -> None:
    FakeV2(tmp_path, "cpu")
    found = probe(tmp_path, "0::/system.slice/dynamod.service\n")
    assert (found.version, found.make("1-1", Limits(1, 1))) == (0, None)
    assert "memory, pids not given to" in found.missing
    nothing = probe(tmp_path / "nothing", "")
    assert (nothing.version, nothing.places) == (0, {})
    assert "no such hierarchy" in nothing.missing


def test_a_group_that_is_still_in_use_is_removed_later(tmp_path: Path) -> None:
    groups = Cgroups(2, dict.fromkeys(("memory", "pids"), tmp_path))
    group = groups.make("1", Limits(1, 1))
    assert group is not None
    groups.remove(group)  # files that no kernel made keep the folder in use
    assert group.folders[0].exists()
    for file in group.folders[0].iterdir():
        file.unlink()
    groups.make("2", Limits(1, 1))
    assert not group.folders[0].exists()
