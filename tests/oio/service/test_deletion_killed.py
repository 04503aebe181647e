"""Deletions of containers whose services are killed at every step: not begun, or completed without any help."""

from __future__ import annotations

import random
import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from oio.naming import cid_of
from oio.service import supervisor
from oio.service.deployment import Deployment
from tests.oio.service.cluster import Cluster, eventually, running
from tests.oio.service.mortal import POINTS, arm, armed

QUICK = ("note-after", "end-before")
"""The steps whose next one is another service's to take."""
CONTAINERS = 25
ROUNDS = 100


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    deployment = Deployment(tmp_path_factory.mktemp("directory"), ttl=2.0)
    with running(deployment, "tests.oio.service.mortal") as found:
        yield found


def create(cluster: Cluster, name: str, value: str) -> int:
    return cluster.ask("POST", "container/create", {"properties": {"k": value}}, acct="a", ref=name)[0]


def destroy(cluster: Cluster, name: str) -> int:
    return cluster.ask("POST", "container/destroy", acct="a", ref=name)[0]


def shown(cluster: Cluster, name: str) -> dict[str, str] | None:
    """Properties of the container, None when there is none."""
    status, body = cluster.ask("GET", "container/show", acct="a", ref=name)
    assert status in (200, 404, 503), body
    if status == 503:
        return {"unknown": "yet"}
    return body["properties"] if status == 200 else None


def linked(cluster: Cluster, name: str) -> list[str]:
    """Services that the directory names for the container."""
    status, body = cluster.ask("GET", "reference/show", acct="a", ref=name, type="meta2")
    return [row["host"] for row in body["srv"]] if status == 200 else ["unknown"]


def files(cluster: Cluster, name: str = "") -> list[str]:
    """Files of a container's bases, or of all."""
    cid = cid_of("a", name) if name else ""
    found = cluster.deployment.root.glob(f"meta2-*/*/{cid}*.meta2")
    return sorted(str(path) for path in found)


def revive(cluster: Cluster) -> None:
    """Start whoever is dead."""
    for name in cluster.deployment.names():
        if supervisor.running(cluster.deployment, name) is None:
            cluster.start(name)


@pytest.mark.parametrize(
    "point", [pytest.param(point, marks=[] if point in QUICK else [pytest.mark.long]) for point in POINTS]
)
def test_b6_a_deletion_killed_at_any_step_is_not_begun_or_is_completed(cluster: Cluster, point: str) -> None:
    assert create(cluster, point, "first") == 201
    assert len(files(cluster, point)) == 3
    arm(cluster.deployment.root, point)
    status, _ = cluster.ask("POST", "container/destroy", acct="a", ref=point)
    eventually(lambda: not armed(cluster.deployment.root))
    if point == "note-before":
        assert status == 503
        # Nothing was noted when the service died: the container is as it was, until somebody asks again.
        eventually(lambda: shown(cluster, point) == {"k": "first"})
        assert len(linked(cluster, point)) == 3
        eventually(lambda: destroy(cluster, point) in (204, 404))
    # Nobody asks for the deletion from here on: whoever is master next goes on with it.
    eventually(lambda: linked(cluster, point) == [])
    assert shown(cluster, point) is None
    revive(cluster)
    eventually(lambda: files(cluster, point) == [])
    assert shown(cluster, point) is None
    eventually(lambda: create(cluster, point, "second") in (201, 204))
    eventually(lambda: shown(cluster, point) == {"k": "second"})
    assert destroy(cluster, point) == 204
    eventually(lambda: files(cluster, point) == [])


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_b6_containers_made_and_deleted_a_hundred_times_under_kills_leave_no_file(cluster: Cluster) -> None:
    chance = random.Random(6)
    names = [f"load-{number}" for number in range(CONTAINERS)]
    victims = [f"{kind}-{number}" for kind in ("meta1", "meta2") for number in (1, 2, 3)]

    def live_and_die(name: str) -> None:
        eventually(lambda: create(cluster, name, "x") in (201, 204))
        eventually(lambda: destroy(cluster, name) in (204, 404))

    with ThreadPoolExecutor(8) as pool:
        for turn in range(ROUNDS):
            work = [pool.submit(live_and_die, name) for name in names]
            if turn % 5 == 0:
                victim = chance.choice(victims)
                cluster.signal(victim, signal.SIGKILL)
                cluster.start(victim)
            for one in work:
                one.result()
    for name in names:
        eventually(lambda name=name: linked(cluster, name) == [])  # type: ignore[misc]  # bound now
    for number in (1, 2, 3):
        cluster.signal(f"meta2-{number}", signal.SIGKILL)
        cluster.start(f"meta2-{number}")
    eventually(lambda: files(cluster) == [])
