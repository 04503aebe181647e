"""`oio-directory` as a person runs it."""

from __future__ import annotations

import configparser
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import urllib3

from oio.service import supervisor
from oio.service.deployment import Deployment
from oio.service.rdir.server import Rdir
from oio.service.rpc import RpcClient
from oio.service.status import ServiceError

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def oio_directory(tmp_path: Path) -> Iterator[Run]:
    root = tmp_path / "directory"

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "oio.service", *arguments, "--root", str(root)]
        environment = {**os.environ, "COLUMNS": "200", "HOME": str(tmp_path)}
        return subprocess.run(command, capture_output=True, text=True, timeout=180, env=environment)

    yield run
    if root.exists():
        deployment = Deployment.load(root)
        supervisor.stop(deployment, deployment.names())


def test_up_twice_status_down_and_purge(oio_directory: Run, tmp_path: Path) -> None:
    first = oio_directory("up", "--services", "1")
    assert first.returncode == 0, first.stderr
    conf = configparser.RawConfigParser()
    assert conf.read(tmp_path / ".oio" / "sds.conf")
    proxy = conf.get("OPENIO", "proxy")
    shown = urllib3.request("GET", f"http://{proxy}/v3.0/OPENIO/admin/meta0_list?digits=2")
    assert len(shown.json()) == 256
    again = oio_directory("up")
    assert again.returncode == 0, again.stderr
    assert proxy in again.stderr
    listed = oio_directory("status")
    assert listed.returncode == 0
    assert "meta2-1" in listed.stdout
    other = oio_directory("up", "--services", "2")
    assert other.returncode == 1
    assert "--services 1" in other.stderr
    assert oio_directory("down").returncode == 0
    after = oio_directory("status")
    assert after.returncode == 1
    assert "6 services are down" in after.stderr
    assert oio_directory("up").returncode == 0
    kept = urllib3.request("GET", f"http://{proxy}/v3.0/OPENIO/admin/meta0_list?digits=2")
    assert kept.json() == shown.json()
    assert oio_directory("down", "--purge").returncode == 0
    assert not (tmp_path / "directory").exists()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("up", "--services", "0"), "--services 0"),
        (("up", "--services", "2", "--replicas", "3"), "--replicas 3"),
        (("up", "--consciences", "9"), "--consciences 9"),
        (("up", "--zookeeper", "a:1;b:1"), "one ensemble"),
        (("status",), "no directory"),
        (("down",), "no directory"),
    ],
)
def test_what_cannot_be_is_refused_by_name(
    oio_directory: Run, arguments: tuple[str, ...], named: str
) -> None:
    done = oio_directory(*arguments)
    assert done.returncode == 1
    assert named in done.stderr
    assert "Traceback" not in done.stderr


async def test_who_does_not_know_the_secret_cannot_speak_as_a_peer(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path / "directory")
    deployment.save()
    assert (deployment.root / "secret").stat().st_mode & 0o077 == 0
    known = deployment.secret()
    deployment.save()
    assert deployment.secret() == known
    service = Rdir(tmp_path / "rdir", known)
    address = await service.start("127.0.0.1", 0)
    clients = [RpcClient(secret=secret) for secret in (known, "", "wrong")]
    try:
        for client in clients:
            assert await client.call(address, "ping", {}) == "OK"
        assert (await clients[0].call(address, "info", {}))["type"] == "rdir"
        for client in clients[1:]:
            with pytest.raises(ServiceError, match="secret") as refused:
                await client.call(address, "info", {})
            assert known not in str(refused.value)
    finally:
        for client in clients:
            await client.close()
        await service.stop()
