"""`openio zk` and `openio election check` against a real ZooKeeper and services that keep their leases there."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from oio.cli import openio
from oio.cli.session import run
from oio.cli.zookeeper import connected, folders
from oio.common.configuration import load_namespace_conf
from oio.naming import peer_set_key
from oio.service.deployment import Deployment
from oio.service.lease.zookeeper import _name
from tests.oio.service.cluster import Cluster, eventually, running
from tests.oio.service.zookeeper_server import is_installed, zookeeper

pytestmark = pytest.mark.skipif(
    not is_installed() and not os.environ.get("CI"), reason="needs Debian's package zookeeper"
)
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    folder = tmp_path_factory.mktemp("zk")
    with zookeeper(folder / "zookeeper") as server:
        deployment = Deployment(folder / "directory", services=1, replicas=1, ttl=8.0, zookeeper=server.hosts)
        with running(deployment) as found, pytest.MonkeyPatch.context() as patch:
            deployment.write_namespace_file(folder / ".oio" / "sds.conf")
            patch.setenv("HOME", str(folder))
            patch.setenv("OIO_NS", "OPENIO")
            patch.setenv("OIO_ACCOUNT", "a")
            load_namespace_conf("OPENIO", fresh=True)
            yield found


@pytest.fixture
def cli(cluster: Cluster, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    def act(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["openio", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            run(openio.app, "openio")
        shown = capsys.readouterr()
        return int(caught.value.code or 0), shown.out, shown.err

    return act


def test_the_tree_is_the_one_that_openio_sds_makes() -> None:
    found = list(folders("NS"))
    assert len(set(found)) == len(found)
    below = [path for path in found if path.startswith("/hc/ns/NS")]
    assert len(below) == 1 + 2 + 1 + 3 + 16**3 + 256 + 256**2
    assert "/hc/ns/NS/el/meta1/0FA" in found
    assert "/hc/ns/NS/el/meta2/A0/F1" in found


def test_rogue_nodes_are_found_and_deleted(cluster: Cluster, cli: Run) -> None:
    peer = cluster.deployment.address("meta1-1")
    eventually(lambda: cli("election", "check", "meta1", "r", "-f", "json")[0] == 0)
    shown = json.loads(cli("election", "check", "meta1", "r", "-f", "json")[1])
    assert [(one["Host"], one["Status"]) for one in shown] == [(peer, "master")]
    folder = "/hc/ns/OPENIO/el/meta1"
    with connected("OPENIO", "meta1") as client:
        path = f"{folder}/{_name(peer_set_key('meta1', frozenset([peer])))}-"
        client.create(path, b"10.0.0.1:1", sequence=True)
        status, out, err = cli("election", "check", "meta1", "r", "-f", "json")
        assert status == 1
        assert "1 nodes belong to services that are no peers" in err
        assert [one["Status"] for one in json.loads(out)] == ["master", "rogue"]
        assert cli("election", "check", "meta1", "r", "--clean")[0] == 0
        assert len(client.get_children(folder)) == 1


def test_nodes_are_counted_and_services_get_over_their_loss(cluster: Cluster, cli: Run) -> None:
    cluster.writable("before")
    counts = {one["Type"]: one["Nodes"] for one in json.loads(cli("zk", "stat", "-f", "json")[1])}
    assert counts["meta0"] == counts["meta1"] == 1
    for command in (("zk", "smudge", "--count", "1"), ("zk", "reset")):
        assert cli(*command)[0] == 1
        assert cli(*command, "--I-know-what-I-am-doing")[0] == 0
        cluster.writable(command[1])
    cluster.check()


@pytest.mark.long
def test_the_tree_is_made_beside_what_is_there(cluster: Cluster, cli: Run, tmp_path: Path) -> None:
    status, _, err = cli("--ns", "OPENIO", "zk", "bootstrap")
    assert status == 0, err
    with connected("OPENIO") as client:
        assert len(client.get_children("/hc/ns/OPENIO/el/meta2")) >= 256
        assert client.exists("/hc/ns/OPENIO/srv/meta0")
    assert cli("zk", "bootstrap")[2].split()[0] == "0"
    cluster.writable("after")
    counts = {one["Type"]: one["Nodes"] for one in json.loads(cli("zk", "stat", "-f", "json")[1])}
    assert counts["meta1"] == 1
