"""Faults with real processes: no acknowledged write is lost, whoever is killed or stopped."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from oio.naming import cid_of, meta1_base
from oio.service import status, supervisor
from oio.service.deployment import Deployment
from oio.service.rpc import RpcClient
from oio.service.status import ServiceError
from tests.oio.service.cluster import PATIENCE, Cluster, eventually, running
from tests.oio.service.dying import POINTS
from tests.oio.service.freezing import MARK
from tests.oio.service.soak import Clients, settle, usage

QUICK = ("replace_tail-after", "commit-before", "promise-after")
"""Steps of a write with which `make test` is content."""
SHORT = 2.0
"""Seconds for a request that cannot succeed."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    with running(Deployment(tmp_path_factory.mktemp("directory"), ttl=2.0, consciences=2)) as found:
        yield found


def test_f1_a_killed_master_is_replaced_and_nothing_acknowledged_is_lost(cluster: Cluster) -> None:
    for turn in range(2):
        for number in range(10):
            cluster.write(f"f1-{turn}-{number}", "before")
        victim = cluster.master()
        cluster.signal(victim, signal.SIGKILL)
        cluster.writable(f"f1-{turn}-after")
        cluster.check()
        cluster.start(victim)
    cluster.check()


@pytest.mark.parametrize(
    "point", [pytest.param(point, marks=[] if point in QUICK else [pytest.mark.long]) for point in POINTS]
)
def test_f2_a_master_that_dies_at_any_step_of_a_write_loses_nothing(cluster: Cluster, point: str) -> None:
    victim = cluster.master()
    cluster.signal(victim, signal.SIGKILL)
    deployment = cluster.deployment
    command = [sys.executable, "-m", "tests.oio.service.dying", point, "--root", str(deployment.root)]
    with (deployment.root / "run" / "dying.log").open("ab") as log:
        dying = subprocess.Popen([*command, "--name", victim], stdout=log, stderr=log)
    try:
        number = 0
        while dying.poll() is None:
            cluster.write(f"f2-{point}-{number}", "x")
            # The first to be asked takes the lease: at once the one that will die, if it is not it already.
            cluster.states()
            number += 1
            assert number < 200, "it does not die"
        assert dying.returncode == -signal.SIGKILL
    finally:
        dying.kill()
        dying.wait(PATIENCE)
    cluster.start(victim)
    cluster.writable(f"f2-{point}-after")
    cluster.check()
    eventually(cluster.alike)


def test_f3_a_frozen_master_that_wakes_up_is_master_no_more(cluster: Cluster) -> None:
    victim = cluster.master()
    address = cluster.deployment.address(victim)
    cluster.signal(victim, signal.SIGSTOP)
    try:
        cluster.writable("f3-while")
        ended, sampled = threading.Event(), list[dict[str, int]]()
        sampler = threading.Thread(target=sample_states, args=(cluster, ended, sampled))
        sampler.start()
    finally:
        cluster.signal(victim, signal.SIGCONT)
    try:
        for number in range(10):
            states = cluster.states()
            assert states[address] != 200
            cluster.writable(f"f3-{number}")
        eventually(lambda: len(sampled) >= 100)
    finally:
        ended.set()
        sampler.join(PATIENCE)
    assert max(sum(state == 200 for state in states.values()) for states in sampled) == 1
    cluster.check()


def sample_states(cluster: Cluster, ended: threading.Event, found: list[dict[str, int]]) -> None:
    """Add the states of all peers every 10 ms."""
    while not ended.wait(0.01):
        found.append(cluster.states())


def test_f3_a_write_that_the_frozen_master_had_begun_is_refused_by_its_peers(cluster: Cluster) -> None:
    victim = cluster.name(min(cluster.states()))
    cluster.kill(victim)
    supervisor.start(cluster.deployment, victim, "tests.oio.service.freezing")
    address = supervisor.wait_listening(cluster.deployment, victim)
    cluster.make_master(victim)
    answers = list[ServiceError | None]()
    writer = threading.Thread(target=lambda: answers.append(told_to_write(cluster, address, MARK)))
    writer.start()
    try:
        eventually(lambda: stopped(cluster, victim))
        cluster.writable("f3-while-frozen")
    finally:
        cluster.signal(victim, signal.SIGCONT)
        writer.join(PATIENCE)
    refused = answers[0]
    assert refused is not None
    assert refused.status in (status.REDIRECT, status.IS_MASTER, status.UNAVAILABLE), refused
    again = told_to_write(cluster, address, "at once")
    assert again is not None
    assert again.status in (status.REDIRECT, status.IS_MASTER), again
    cluster.writable("f3-thereafter")
    assert not {MARK, "at once"} & cluster.stored().keys()
    eventually(cluster.alike)
    cluster.check()
    cluster.kill(victim)
    cluster.start(victim)


def stopped(cluster: Cluster, name: str) -> bool:
    process = supervisor.running(cluster.deployment, name)
    return process is not None and process.status() == psutil.STATUS_STOPPED


def told_to_write(cluster: Cluster, address: str, key: str) -> ServiceError | None:
    """What that service answers when it is told to set a property, past the proxy that would find its master."""
    cid = cid_of("a", "r")
    base = meta1_base(cid, cluster.deployment.digits)
    args = {"cid": cid, "properties": {key: "x"}, "flush": False}
    peers = sorted(cluster.states())

    async def call() -> ServiceError | None:
        rpc = RpcClient(secret=cluster.deployment.secret())
        try:
            named = {**args, "type": base.type, "name": base.name, "peers": peers}
            await rpc.call(address, "ref_set_properties", named, PATIENCE)
        except ServiceError as error:
            return error
        finally:
            await rpc.close()
        return None

    return asyncio.run(call())


def test_f6_two_of_three_dead_reads_work_writes_are_refused_and_both_come_back(cluster: Cluster) -> None:
    assert cluster.write("f6", "before") == 204
    names = [cluster.name(address) for address in cluster.states()]
    for name in names[:2]:
        cluster.signal(name, signal.SIGKILL)
    assert cluster.write("f6-lost", "x", SHORT) == 503
    assert cluster.stored(SHORT)["f6"] == "before"
    for name in names[:2]:
        cluster.start(name)
    cluster.writable("f6-again")
    cluster.check()


def test_f8_a_lost_and_a_damaged_file_are_replaced_from_a_healthy_peer(cluster: Cluster) -> None:
    assert cluster.write("f8", "before") == 204
    status, body = cluster.ask("POST", "admin/has", type="meta1", acct="a", ref="r")
    assert status == 200
    master = cluster.deployment.address(cluster.master())
    slaves = [Path(answer["body"]) for address, answer in body.items() if address != master]
    slaves[0].unlink()
    status, body = cluster.ask("POST", "admin/has", type="meta1", acct="a", ref="r")
    assert sorted(answer["status"]["status"] for answer in body.values()) == [200, 200, 431]
    assert cluster.write("f8-again", "x") == 204
    eventually(slaves[0].exists)
    cluster.check()


def test_f7_without_the_lease_store_writes_stop_and_nothing_storms_when_it_is_back(cluster: Cluster) -> None:
    before = cluster.leases_given()
    with cluster.without_leases():
        eventually(lambda: cluster.write("f7-without", "x", SHORT) == 503)
    cluster.writable("f7-again")
    cluster.check()
    keys = 1 + sum(cluster.name(address).startswith("meta1") for address in cluster.states())
    assert cluster.leases_given() - before <= 3 * keys


def test_f8_damaged_files_on_two_peers_are_detected_and_replaced(cluster: Cluster) -> None:
    cluster.writable("f8-damage")
    eventually(cluster.alike)
    status, body = cluster.ask("POST", "admin/has", type="meta1", acct="a", ref="r")
    assert status == 200
    for address in sorted(body)[:2]:
        name, path = cluster.name(address), Path(body[address]["body"])
        cluster.signal(name, signal.SIGKILL)
        for beside in ("-wal", "-shm"):
            path.with_name(path.name + beside).unlink(missing_ok=True)
        path.write_bytes(os.urandom(path.stat().st_size))
        cluster.start(name)
        cluster.writable(f"f8-after-{name}")
        eventually(cluster.alike)
        assert list(path.parent.glob("*.corrupted"))
        cluster.check()


def echoes(cluster: Cluster) -> dict[str, tuple[int, bool]]:
    """Address -> score and lock of the services of type echo, as the proxy lists them."""
    status, body = cluster.ask("GET", "conscience/list", type="echo")
    assert status == 200, body
    return {one["addr"]: (one["score"], one["tags"]["tag.lock"]) for one in body}


def test_a_conscience_that_is_killed_is_missed_by_nobody_and_catches_up(cluster: Cluster) -> None:
    one, other = ({"type": "echo", "addr": f"127.0.0.1:700{number}", "score": number} for number in (1, 2))
    assert cluster.ask("POST", "conscience/lock", one, create="1")[0] == 204
    wanted = {one["addr"]: (1, True)}
    for victim, survivor in (("conscience-1", "conscience-2"), ("conscience-2", "conscience-1")):
        cluster.kill(victim)
        cluster.writable(f"without-{victim}")
        assert echoes(cluster) == wanted
        if victim == "conscience-1":
            assert cluster.ask("POST", "conscience/lock", other, create="1")[0] == 204
        else:
            assert cluster.ask("POST", "conscience/deregister", one)[0] == 204
            wanted.pop(str(one["addr"]))
        wanted[str(other["addr"])] = (2, True)
        assert echoes(cluster) == wanted
        # All services find the one that is left: a service whose score has run out would be listed with 0.
        heard = cluster.deployment.address(survivor)
        eventually(lambda heard=heard: all_up(cluster, heard))  # type: ignore[misc]
        cluster.start(victim)
    for name in cluster.deployment.conscience_names():
        status, body = cluster.ask("GET", "conscience/list", type="echo", cs=cluster.deployment.address(name))
        assert (status, [service["addr"] for service in body]) == (200, [other["addr"]])
    cluster.check()


def all_up(cluster: Cluster, conscience: str) -> bool:
    """Whether a conscience knows all services that run."""
    status, body = cluster.ask("GET", "conscience/list", type="all", cs=conscience)
    up = {one["addr"] for one in body if status == 200 and one["score"] > 0 and one["tags"].get("tag.up")}
    names = cluster.deployment.names()
    known = cluster.deployment.conscience_names()
    return up >= {cluster.deployment.address(name) for name in names if name not in known}


def test_many_clients_leave_no_threads_descriptors_or_memory_behind(cluster: Cluster) -> None:
    """The short form; the long one is in `test_soak`."""
    clients = Clients(cluster, 12)
    clients.rounds(1)
    before = usage(cluster)
    clients.rounds(2)
    settle(cluster, before, 1.1, spare=2 * clients.count)
    assert clients.done == 3 * 12 * 7
    assert clients.refused < clients.done / 10
