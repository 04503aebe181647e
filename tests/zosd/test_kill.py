"""A daemon that is killed anywhere comes to the same end as one that was not.

Each run is a process of its own (forked, so that it starts fast) that kills itself with SIGKILL at one point; the
points are those that journal and provisioners announce by themselves.  The next process over the same folder, without
a fault, has to reach the goal and leave nothing over.
"""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from gridtypes import ContractId, Deployment
from tests.zosd.parts import TWIN, Daemon, daemon, deployment, full, machine, network, public_ip, zmount
from zosd.accept.refusal import Refusal
from zosd.journal.records import Key
from zosd.points import Hook, kill_at, nothing, record_to

FORK = multiprocessing.get_context("fork")
KEEPS, GOES = ContractId(1), ContractId(2)


def first(contract: ContractId, net: str) -> Deployment:
    return full(contract, net=net)


def second() -> Deployment:
    """Grows the disk, removes the address, adds a disk."""
    return deployment(
        machine("vm1", "netA", {"disk1": "/data"}, public="ip1"),
        zmount("disk1", 2 << 30, version=1),
        network("netA"),
        public_ip("ip1"),
        zmount("disk2", version=1),
        contract=KEEPS,
        version=1,
    )


async def scenario(node: Daemon) -> None:
    """What a client and the chain do; told again from the beginning after each start, as retries are."""
    ledger = node.journal.ledger
    await _deploy(node, first(KEEPS, "netA"))
    if not (node_note := ledger.note("gone")):
        await _deploy(node, first(GOES, "netB"))
    await node.settled()
    new = second()
    node.chain.sign_up(new)
    await node.update(new)
    if not node_note:
        await node.orders.leave(Key(TWIN, GOES), "contract canceled event received")
        await node.journal.put_note("gone", b"1")
    await node.until(lambda: len(ledger) == 1)
    await node.settled()


async def _deploy(node: Daemon, wanted: Deployment) -> None:
    node.chain.sign_up(wanted)
    try:
        await node.deploy(wanted)
    except Refusal as refusal:
        if str(refusal) != "exists":  # it is at version 1 already
            raise


def child(folder: Path, hook: Hook) -> None:
    async def run() -> None:
        async with daemon(folder, hook=hook) as node:
            await scenario(node)

    asyncio.run(run())


def run(folder: Path, hook: Hook = nothing, kill_after: float | None = None) -> int:
    """Run a child to its end and return its exit code (negative: the signal)."""
    process = FORK.Process(target=child, args=(folder, hook), daemon=True)
    process.start()
    if kill_after is not None:
        time.sleep(kill_after)
        if process.is_alive():
            process.kill()
    process.join(60)
    assert process.exitcode is not None, "the child hangs"
    return process.exitcode


def check(folder: Path) -> None:
    """Journal and shelf hold exactly what should be there."""

    async def look() -> None:
        async with daemon(folder, start=False) as node:
            (record,) = node.journal.ledger.all()
            assert record.key.contract == KEEPS
            assert record.header.version == 1
            assert record.job is None
            assert node.states(record.key) == dict.fromkeys(["vm1", "disk1", "netA", "ip1", "disk2"], "ok")

    asyncio.run(look())
    left = sorted(file.stem for file in (folder / "run" / "null").rglob("*.json"))
    assert left == [f"26-1-{name}" for name in ("disk1", "disk2", "ip1", "netA", "vm1")]
    disk = json.loads((folder / "run" / "null" / "zmount" / "26-1-disk1.json").read_text())
    assert disk["version"] == 1
    # Nothing that was once complete was made from nothing again.
    assert disk["made"] == 1


@pytest.fixture(scope="module")
def points(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Every point of an undisturbed run, with its number."""
    folder = tmp_path_factory.mktemp("undisturbed")
    record = folder / "points"
    assert run(folder / "node", record_to(record)) == 0
    check(folder / "node")
    count: Counter[str] = Counter()
    numbered = []
    for point in record.read_text().split():
        count[point] += 1
        numbered.append(f"{point}#{count[point]}")
    return numbered


def test_an_undisturbed_run_passes_many_points(points: list[str]) -> None:
    assert len(points) > 50
    kinds = {point.rpartition("#")[0] for point in points}
    assert {"journal.accept.commit", "journal.accept.done", "zmachine.provision.begin"} <= kinds
    assert {"zmount.update.end", "zmachine.deprovision.end", "journal.forget.done"} <= kinds


def test_killed_at_every_point(points: list[str], tmp_path: Path) -> None:
    reached = 0
    for number, point in enumerate(points):
        folder = tmp_path / str(number)
        code = run(folder, kill_at(point))
        reached += code == -signal.SIGKILL
        assert code in (0, -signal.SIGKILL), f"{point}: exit code {code}"
        assert run(folder) == 0, f"killed at {point}: the next run did not come to its end"
        check(folder)
    # Workers run side by side, so a few points may have another number in another run.
    assert reached > len(points) * 0.9


def test_killed_twice_in_a_row_at_random_moments(tmp_path: Path) -> None:
    chance = random.Random(7)
    for number in range(15):
        folder = tmp_path / str(number)
        run(folder, kill_after=chance.uniform(0.01, 0.25))
        run(folder, kill_after=chance.uniform(0.01, 0.25))
        assert run(folder) == 0
        check(folder)


def test_kill_points_count_from_1() -> None:
    make: Callable[[str], Hook] = kill_at
    with pytest.raises(ValueError, match="counts from 1"):
        make("a#0")
