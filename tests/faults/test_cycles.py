"""Deploy, update, cancel, again and again: nothing is left and nothing grows (null provisioners).

500 cycles in a run, 10,000 with `FAULTS=all`; `test_real_cycles.py` does the same with kernel objects.
"""

from __future__ import annotations

import asyncio
import gc
import os
from pathlib import Path

import pytest

from gridtypes import Deployment
from tests.faults import scope
from tests.faults.workloads import zdb
from tests.shared import report_count
from tests.zosd.parts import TWIN, Daemon, daemon, deployment, machine, network, zmount
from zosd.journal.records import Key

CYCLES = scope.count(500, 10_000)
LANES = 10
"""Deployments at once."""


def version(lane: int, number: int) -> Deployment:
    name = f"l{lane}"
    return deployment(
        network(f"{name}n", port=7000 + lane),
        zmount(f"{name}d", (1 + number) << 30, version=number),
        machine(f"{name}v", f"{name}n", {f"{name}d": "/data"}, memory=256 << 20),
        zdb(f"{name}z", (1 + number) << 30, version=number),
        contract=100 + lane,
        version=number,
    )


async def cycle(node: Daemon, lane: int) -> None:
    first, second = version(lane, 0), version(lane, 1)
    key = Key(TWIN, first.contract_id)

    def is_done(number: int) -> bool:
        record = node.journal.ledger.get(key)
        return record is not None and record.job is None and record.header.version == number

    node.chain.sign_up(first)
    await node.deploy(first)
    await node.until(lambda: is_done(0), 60)
    node.chain.sign_up(second)
    await node.update(second)
    await node.until(lambda: is_done(1), 60)
    await node.orders.leave(key, "contract canceled event received")
    await node.until(lambda: node.journal.ledger.get(key) is None, 60)


def counted() -> tuple[int, int, int]:
    """Objects, descriptors and tasks of this process."""
    gc.collect()
    return len(gc.get_objects()), len(os.listdir("/proc/self/fd")), len(asyncio.all_tasks())


@pytest.mark.timeout(3600 if scope.EVERY_ONE else 300)
async def test_cycles_leave_nothing_and_nothing_grows(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        seen = []
        rounds = CYCLES // LANES
        for number in range(rounds):
            await asyncio.gather(*(cycle(node, lane) for lane in range(LANES)))
            if number in (rounds // 3, rounds - 1):
                for script in node.scripts.values():
                    script.calls.clear()
                seen.append(counted())
        assert len(node.journal.ledger) == 0
        assert [path for path in (tmp_path / "run").rglob("*") if path.is_file()] == []
        (objects, descriptors, tasks), (objects_after, descriptors_after, tasks_after) = seen
        # What is remembered on purpose is bounded (contracts that ended, for instance).
        assert objects_after < objects * 1.02 + 500
        assert descriptors_after <= descriptors
        assert tasks_after <= tasks
        assert (tmp_path / "journal.db").stat().st_size < 4 << 20
    report_count("cycles with null provisioners", rounds * LANES)
