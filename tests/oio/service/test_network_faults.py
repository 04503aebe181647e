"""Faults of the network and of disks, with real processes in a network namespace of their own."""

from __future__ import annotations

import errno
import shutil
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import apsw
import pytest

from oio.service.deployment import Deployment
from tests.oio.service.cluster import Cluster, eventually, running
from tests.oio.service.own_network import cut, own_network, rules

pytestmark = pytest.mark.root
WRITERS = 10
ROOM = 1 << 20
"""Bytes of the small disk that a service gets."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    root = tmp_path_factory.mktemp("directory")
    with own_network(), running(Deployment(root, ttl=2.0, apart=True)) as found:
        yield found


def address(cluster: Cluster, name: str) -> str:
    return cluster.deployment.address(name).partition(":")[0]


def others(cluster: Cluster, name: str) -> list[str]:
    return [other for other in map(cluster.name, cluster.states()) if other != name]


def committed(path: Path) -> tuple[int, int]:
    """How far a base's log is committed, and its oldest entry."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        sql = "SELECT (SELECT v FROM replica WHERE k='committed'), (SELECT min(seq) FROM changes)"
        row = next(iter(connection.execute(sql)))
        return int(str(row[0])), int(str(row[1]))
    finally:
        connection.close()


def fill(file: Path) -> None:
    """Write until the disk is full."""
    with file.open("wb", buffering=0) as output:
        try:
            while True:
                output.write(bytes(4096))
        except OSError as error:
            if error.errno != errno.ENOSPC:
                raise


def write_some(cluster: Cluster, writer: int, count: int) -> int:
    """One writer's part, to properties that are its own; how many were acknowledged."""
    values = [f"v{number}" for number in range(count)]
    return sum(cluster.write(f"f4-{writer}-{value[-1]}", value) == 204 for value in values)


@pytest.mark.parametrize("writes", [300, pytest.param(1000, marks=pytest.mark.long)])
def test_f4_a_slave_that_was_cut_off_is_brought_up_by_the_log(cluster: Cluster, writes: int) -> None:
    cluster.writable("f4-before")
    eventually(cluster.alike)
    master = cluster.master()
    slave, second = others(cluster, master)
    status, body = cluster.ask("POST", "admin/has", type="meta1", acct="a", ref="r")
    assert status == 200
    path = Path(body[cluster.deployment.address(slave)]["body"])
    file = path.stat().st_ino
    here = address(cluster, slave)
    away = [*cut(here, address(cluster, master)), *cut(here, address(cluster, second))]
    with rules(*away):
        before, _ = committed(path)
        with ThreadPoolExecutor(WRITERS) as pool:
            done = [pool.submit(write_some, cluster, writer, writes // WRITERS) for writer in range(WRITERS)]
            assert sum(one.result() for one in done) == writes
        assert committed(path)[0] == before
    eventually(cluster.alike)
    assert committed(path)[0] >= before + writes
    assert path.stat().st_ino == file, "a whole copy was sent"
    cluster.check()


def test_f5_a_master_that_is_cut_off_from_its_slaves_commits_nothing(cluster: Cluster) -> None:
    cluster.writable("f5-before")
    master = cluster.master()
    away = [
        rule
        for slave in others(cluster, master)
        for rule in cut(address(cluster, master), address(cluster, slave))
    ]
    with rules(*away):
        # It still reaches the lease store and the proxy: leadership moves, because it gives up what it cannot use.
        cluster.writable("f5-while")
        assert sum(state == 200 for state in cluster.states().values()) <= 1
        cluster.check()
    cluster.writable("f5-after")
    eventually(cluster.alike)
    cluster.check()


def test_f10_lost_packets_to_one_peer_stop_nobody(cluster: Cluster) -> None:
    slave = others(cluster, cluster.master())[0]
    with rules(f"ip daddr {address(cluster, slave)} numgen random mod 100 < 30 drop"):
        for number in range(30):
            cluster.writable(f"f10-lossy-{number}")
    eventually(cluster.alike)
    cluster.check()


@contextmanager
def ext4(folder: Path) -> Iterator[Path]:
    """A block device with a small ext4, gone afterwards."""
    image = folder / "disk"
    with image.open("wb") as file:
        file.truncate(16 * ROOM)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(image)], check=True)
    shown = subprocess.run(
        ["losetup", "--find", "--show", str(image)], check=True, capture_output=True, text=True
    )
    device = Path(shown.stdout.strip())
    try:
        yield device
    finally:
        subprocess.run(["losetup", "--detach", str(device)], check=True)
        image.unlink()


@contextmanager
def small_disk(cluster: Cluster, victim: str, device: Path | None = None) -> Iterator[Path]:
    """Have a service run on a disk of its own, with what it has; afterwards on its former one, with what it got.

    The disk is `device`, or else a tmpfs of ROOM bytes.
    """
    volume = cluster.deployment.root / victim
    cluster.end(victim)
    kept = volume.with_name("kept")
    volume.rename(kept)
    volume.mkdir()
    what = ["-t", "tmpfs", "-o", f"size={ROOM}", "tmpfs"] if device is None else [str(device)]
    subprocess.run(["mount", *what, str(volume)], check=True)
    try:
        subprocess.run(["cp", "-a", f"{kept}/.", str(volume)], check=True)
        cluster.start(victim)
        yield volume
        cluster.end(victim)
        subprocess.run(["cp", "-a", f"{volume}/.", str(kept)], check=True)
    finally:
        cluster.end(victim)
        subprocess.run(["umount", str(volume)], check=True)
    shutil.rmtree(volume)
    kept.rename(volume)
    cluster.start(victim)


def test_f10_a_full_disk_is_named_and_others_go_on(cluster: Cluster) -> None:
    eventually(cluster.alike)
    victim = cluster.master()
    with small_disk(cluster, victim) as volume:
        filler = volume / "filler"
        fill(filler)
        for number in range(20):
            cluster.writable(f"f10-full-{number}")
        where = {"type": "meta1", "acct": "a", "ref": "r", "service_id": cluster.deployment.address(victim)}
        status, body = cluster.ask("POST", "admin/vacuum", local="1", **where)
        assert status == 200, body
        filler.unlink()
        eventually(cluster.alike)
        cluster.check()
    cluster.writable("f10-back")
    cluster.check()


def test_f10_a_disk_that_turns_read_only_is_named_and_others_go_on(cluster: Cluster, tmp_path: Path) -> None:
    eventually(cluster.alike)
    victim = cluster.master()
    with ext4(tmp_path) as device, small_disk(cluster, victim, device) as volume:
        cluster.make_master(victim)
        # What the kernel does after an error of the disk: a plain remount is refused while files are open for writing.
        subprocess.run(["mount", "-o", "remount,abort", str(volume)], check=True)
        with pytest.raises(OSError, match="Read-only"):
            (volume / "probe").touch()
        for number in range(20):
            cluster.writable(f"f10-read-only-{number}")
        away, here = (cluster.deployment.address(name) for name in (victim, cluster.master()))
        assert away != here
        status, body = cluster.ask(
            "POST", "admin/copy", {"from": here, "to": away}, type="meta1", acct="a", ref="r"
        )
        assert status == 503
        assert away in body["message"]
        assert "ead-only file system" in body["message"] or "readonly" in body["message"]
        cluster.check()
        cluster.end(victim)
        subprocess.run(["umount", str(volume)], check=True)
        subprocess.run(["mount", str(device), str(volume)], check=True)
        cluster.start(victim)
        eventually(cluster.alike)
        cluster.check()
    cluster.writable("f10-written-again")
    cluster.check()
