"""Jobs that nobody works on, and what the metrics say."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gridtypes import WorkloadType
from tests.shared import cases, report_count
from tests.zosd.parts import daemon, deployment, full, zmount
from zosd import metrics
from zosd.chainlife.look import ChainSight
from zosd.clock import SystemClock
from zosd.measures import Measures
from zosd.watchdog import Watchdog


async def test_a_job_without_worker_is_started_anew(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        watchdog = Watchdog(node.journal, node.engine, SystemClock(), 30, 1800)
        wake, node.acceptor._accepted = node.engine.wake, lambda key: None
        key = await node.deploy_with_contract(deployment(zmount("d")))
        assert not node.engine.working_on(key)
        assert watchdog.count() == 1
        watchdog.look()
        assert node.engine.working_on(key)
        await node.settled()
        assert (watchdog.count(), watchdog.oldest()) == (0, 0.0)
        assert wake == node.engine.wake


async def test_an_old_job_is_named_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with daemon(tmp_path) as node:
        node.scripts[WorkloadType.ZMOUNT].gates["provision"] = asyncio.Event()
        await node.deploy_with_contract(deployment(zmount("d")))
        clock = SystemClock()
        clock.time = lambda: SystemClock().time() + 3600  # type: ignore[method-assign]
        watchdog = Watchdog(node.journal, node.engine, clock, 30, 1800)
        watchdog.look()
        assert watchdog._told
        assert watchdog.oldest() >= 3600


async def test_figures_of_jobs_and_workloads(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        await node.deploy_with_contract(full())
        await node.settled()
        watchdog = Watchdog(node.journal, node.engine, SystemClock(), 30, 1800)
        sight = ChainSight(None, problem="connection refused")
        collector = metrics.NodeCollector(node.journal, watchdog, node.engine, lambda: sight, lambda: None)
        found = {
            (sample.name, *sample.labels.values()): sample.value
            for family in collector.collect()
            for sample in family.samples
        }
        assert found["zosd_workloads", "ok"] == 4
        assert found["zosd_oldest_job_seconds",] == 0
        assert (found["zosd_chain_up",], found["zosd_bus_up",]) == (0, 0)
    with pytest.raises(ValueError, match="is not address:port"):
        metrics.serve("9100", Measures(), collector)


async def test_an_endpoint_that_is_behind_makes_a_deployment_wait(tmp_path: Path) -> None:
    """B039, as decision 1 has it: within the call, and with the height in the refusal."""
    case = cases("B039")
    assert case["input"]["node_uses"] == "B"
    async with daemon(tmp_path, look_again=2) as node:
        node.chain.number = case["input"]["endpoints"]["B"]["best"]
        node.chain.lagging = 10
        key = await node.deploy_with_contract(full())
        await node.settled()
        assert set(node.states(key).values()) == {"ok"}
    report_count("cases B039 at accept", 1)
