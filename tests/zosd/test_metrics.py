"""Figures for Prometheus, from a daemon that works."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gridtypes import WorkloadType
from provisioners.protocol import WorkloadError
from tests.zosd.parts import daemon, deployment, full, zmount
from tests.zosd.test_process import configuration, known, redis_socket, running
from zosd.measures import Measures

__all__ = ["redis_socket"]


def figures(port: int) -> dict[tuple[str, ...], float]:
    """Values by name and labels."""
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=20) as answer:
        text = answer.read().decode()
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_a_daemon_tells_its_figures(tmp_path: Path, redis_socket: str, unused_tcp_port: int) -> None:
    await known(tmp_path)
    file = configuration(tmp_path, redis_socket, f'[metrics]\nlisten = "127.0.0.1:{unused_tcp_port}"\n')
    async with running(file, redis_socket) as (_, bus):
        await bus.call("zos.deployment.deploy", raw=full().to_json())
        await bus.refusal("zos.deployment.deploy", raw=b"{}")
        deadline = asyncio.get_running_loop().time() + 30
        samples = await asyncio.to_thread(figures, unused_tcp_port)
        while samples["zosd_bus_up",] != 1:  # the doctor looks after the start
            assert asyncio.get_running_loop().time() < deadline
            await asyncio.sleep(0.1)
            samples = await asyncio.to_thread(figures, unused_tcp_port)
    assert samples["zosd_deployments",] == 1
    assert samples["zosd_workloads", "init"] == 4
    assert samples["zosd_bus_up",] == 1
    assert samples["zosd_bus_seconds",] >= 0
    assert samples["zosd_accept_seconds_count", "accepted", "deploy"] == 1
    assert samples["zosd_accept_seconds_count", "deploy", "refused"] == 1
    assert samples["zosd_command_seconds_count", "ok", "system.version"] >= 1
    assert samples["zosd_journal_commit_seconds_count", "accept"] == 1
    assert ("zosd_jobs",) in samples
    assert ("zosd_workers",) in samples
    assert ("zosd_journal_queue",) in samples
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines() if line.startswith("{")]
    (waits,) = [line for line in lines if line["event"] == "accepted without a look at the contract"]
    assert (waits["twin"], waits["command"]) == (26, "deployment.deploy")


async def test_time_and_failures_by_verb_and_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[tuple[str, str, str]] = []
    monkeypatch.setattr(
        Measures, "act", lambda self, verb, type, seconds, failure="": told.append((verb, type, failure))
    )
    async with daemon(tmp_path) as node:
        disks = node.scripts[WorkloadType.ZMOUNT]
        disks.fail["provision"] = WorkloadError("not enough space")
        key = await node.deploy_with_contract(deployment(zmount("d")))
        await node.until(lambda: ("install", "zmount", "failed") in told)
        disks.fail["provision"] = KeyError("x")
        await node.until(lambda: ("install", "zmount", "internal") in told)
        disks.fail.clear()
        await node.settled()
        assert told[-1] == ("install", "zmount", "")
        await node.orders.leave(key, "over")
        await node.until(lambda: not len(node.journal.ledger))
        assert told[-1] == ("remove", "zmount", "")
