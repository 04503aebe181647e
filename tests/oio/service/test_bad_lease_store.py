"""A service whose lease store cannot be reached: it starts, waits, and ends when it is told to."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import pytest

from oio.service import supervisor
from oio.service.cli import bootstrap
from oio.service.deployment import Deployment
from oio.service.lease.sqlite import make_lease_file
from tests.oio.service.cluster import Cluster, eventually

NOBODY = "127.0.0.1:1"


@pytest.mark.parametrize("zookeeper", [NOBODY, pytest.param("", marks=pytest.mark.long)])
def test_b8_a_service_waits_for_its_lease_store_and_ends_at_once(tmp_path: Path, zookeeper: str) -> None:
    deployment = Deployment(tmp_path / "directory", services=1, replicas=1, zookeeper=zookeeper)
    deployment.save()
    names = ["conscience-1", "proxy-1", "meta0-1", "meta1-1"]
    try:
        for name in names:
            supervisor.start(deployment, name)
            supervisor.wait_listening(deployment, name)
        cluster = Cluster(deployment)
        one = {"0000": [deployment.address("meta1-1")]}
        eventually(lambda: cluster.ask("POST", "admin/meta0_force", one, seconds=1.0)[0] == 503)
        process = supervisor.running(deployment, "meta0-1")
        assert process is not None
        if not zookeeper:
            # The lease store comes at last, and nobody has to restart anything.
            make_lease_file(deployment.lease_file)
            bootstrap(deployment)
            assert cluster.ask("POST", "reference/create", {}, acct="a", ref="r")[0] == 201
            assert supervisor.running(deployment, "meta0-1") is not None
        process.send_signal(signal.SIGTERM)
        eventually(lambda: supervisor.running(deployment, "meta0-1") is None)
    finally:
        supervisor.stop(deployment, names)
        shutil.rmtree(tmp_path / "directory")
