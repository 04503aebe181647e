"""What operators complained about, and what is true here instead; numbers as in the issue."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from oio.common.configuration import load_namespace_conf
from oio.common.exceptions import PreconditionFailed
from oio.directory.client import DirectoryClient
from oio.directory.meta0 import Meta0Client, Meta0PrefixMapping
from oio.service.deployment import Deployment
from tests.oio.directory.services_in_memory import by_base, mapping_of, violations
from tests.oio.service.cluster import eventually, running

KILLS = 3


def spread_over(sites: int, services: int, **kwargs: int) -> Meta0PrefixMapping:
    found = [
        {"addr": f"10.0.0.{n}:1", "score": 100, "tags": {"tag.loc": f"s{n % sites}.r.h{n}.v"}}
        for n in range(services)
    ]
    return mapping_of(found, digits=2, **kwargs)


def test_b4_no_plan_leaves_a_base_with_fewer_copies() -> None:
    mapping = spread_over(sites=3, services=3)
    mapping.bootstrap()
    before = by_base(mapping)
    with pytest.raises(ValueError, match="Less than 3 locations"):
        mapping.decommission("10.0.0.0:1")
    assert by_base(mapping) == before
    two_places = spread_over(sites=2, services=4, replicas=2, min_dist=4)
    two_places.bootstrap("site")
    two_places.services["10.0.0.2:1"]["score"] = 0
    with pytest.raises((PreconditionFailed, ValueError)):
        two_places.decommission("10.0.0.0:1")
    assert {len(keys) for keys in by_base(two_places).values()} == {2}


def test_b5_rebalance_keeps_the_wanted_distance() -> None:
    mapping = spread_over(sites=3, services=9, min_dist=4)
    mapping.bootstrap("site")
    assert violations(mapping) == 0
    extra = {"addr": "10.0.1.0:1", "score": 100, "tags": {"tag.loc": "s0.r.new.v"}, "bases": set()}
    mapping.services["10.0.1.0:1"] = extra
    assert mapping.rebalance()
    assert violations(mapping) == 0
    counts = mapping.count_pfx_by_svc()
    limits = {key: service["upper_limit"] for key, service in mapping.services.items()}
    assert all(counts[key] <= limit for key, limit in limits.items())


def test_b20_no_green_threads_and_no_chance_are_needed() -> None:
    text = (
        "import sys, oio.directory.admin, oio.directory.client, oio.directory.meta0, oio.directory.meta2, "
        "oio.directory.meta2_rebuilder, oio.directory.indexer, oio.rdir.client, oio.conscience.client\n"
        "print([name for name in ('eventlet', 'greenlet', 'gevent') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout == "[]\n"


@pytest.mark.long
@pytest.mark.timeout(900)
def test_b14_a_decommission_of_a_namespace_with_4096_bases_survives_three_kills(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with running(Deployment(tmp_path / "directory", services=4, digits=3, ttl=2.0)) as cluster:
        cluster.deployment.write_namespace_file(tmp_path / ".oio" / "sds.conf")
        monkeypatch.setenv("HOME", str(tmp_path))
        load_namespace_conf("OPENIO", fresh=True)
        conf = {"namespace": "OPENIO"}
        directory = DirectoryClient(conf)
        for number in range(200):
            directory.create("acct", f"r{number}", properties={"n": str(number)})
        source = cluster.deployment.address("meta1-1")
        command = [
            sys.executable,
            "-m",
            "oio.cli.openio",
            "--ns",
            "OPENIO",
            "directory",
            "decommission",
            source,
        ]
        journal = tmp_path / ".oio" / "journal" / "OPENIO-directory.sqlite"
        for _ in range(KILLS):
            with subprocess.Popen([*command, "--rate", "100"], stdout=subprocess.DEVNULL) as process:
                eventually(lambda: journal.exists() or process.poll() is not None)
                time.sleep(5.0)  # anywhere in the middle: the point of a kill must not matter
                process.send_signal(signal.SIGKILL)
        done = subprocess.run(
            [*command, "--workers", "8"], capture_output=True, text=True, timeout=600, env=os.environ
        )
        assert done.returncode == 0, done.stderr
        mapping = Meta0PrefixMapping(Meta0Client(conf), digits=3)
        mapping.load_meta0()
        assert mapping.count_pfx_by_svc()[source] == 0
        assert mapping.check_replicas()
        assert len(mapping.services_by_base) == 4096
        for number in range(200):
            found = directory.get_properties("acct", f"r{number}")
            assert found["properties"] == {"n": str(number)}
        volume = cluster.deployment.root / "meta1-1"

        def is_empty() -> bool:
            return not [path for path in volume.rglob("*.meta1") if ".held" not in path.parts]

        eventually(is_empty)
