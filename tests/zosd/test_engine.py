"""The engine with null provisioners that can be made to fail."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from gridtypes import WorkloadId, WorkloadType
from provisioners.null import NOTICE
from provisioners.protocol import InUse, Unchanged, WorkloadError
from tests.zosd.parts import (
    FAST,
    Daemon,
    FakeChain,
    daemon,
    deployment,
    full,
    machine,
    network,
    raw,
    zmount,
)
from zosd.clock import SystemClock
from zosd.engine.backoff import Backoff


async def test_a_deployment_is_installed_in_dependency_order(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        key = await node.deploy_with_contract(full())
        await node.settled()
        assert node.states(key) == {"vm1": "ok", "disk1": "ok", "net1": "ok", "ip1": "ok"}
        assert [name for name, state in await node.changes(key) if state == "ok"] == [
            "disk1",
            "net1",
            "ip1",
            "vm1",
        ]
        assert node.message(key, "vm1") == NOTICE


async def test_history_begins_with_init_for_every_workload(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        key = await node.deploy_with_contract(full())
        await node.settled()
        assert (await node.changes(key))[:4] == [
            ("vm1", "init"),
            ("disk1", "init"),
            ("net1", "init"),
            ("ip1", "init"),
        ]


async def test_larger_disks_are_made_first(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        await node.deploy_with_contract(deployment(zmount("small", 1 << 30), zmount("large", 2 << 30)))
        await node.settled()
        assert node.scripts[WorkloadType.ZMOUNT].calls == [("provision", "large"), ("provision", "small")]


async def test_removal_goes_the_other_way_and_takes_the_record_last(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        key = await node.deploy_with_contract(full())
        await node.settled()
        removed: list[str] = []
        for script in node.scripts.values():
            script.calls.clear()
        await node.orders.leave(key, "contract canceled event received")
        await node.until(lambda: node.journal.ledger.get(key) is None)
        for type in (WorkloadType.ZMACHINE, WorkloadType.IP, WorkloadType.NETWORK, WorkloadType.ZMOUNT):
            removed += [name for verb, name in node.scripts[type].calls if verb == "deprovision"]
        assert removed == ["vm1", "ip1", "net1", "disk1"]
        assert await node.journal.history(key) == []


async def test_a_failed_install_is_retried_until_it_works(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        disks = node.scripts[WorkloadType.ZMOUNT]
        disks.fail["provision"] = WorkloadError("not enough space")
        key = await node.deploy_with_contract(deployment(zmount("disk1")))
        await node.until(lambda: len(disks.calls) >= 3)
        assert node.states(key) == {"disk1": "error"}
        assert node.message(key, "disk1") == "not enough space"
        disks.fail.clear()
        await node.settled()
        assert node.states(key) == {"disk1": "ok"}
        # Endless tries do not fill the history: the same error stands there once.
        assert await node.changes(key) == [("disk1", "init"), ("disk1", "error"), ("disk1", "ok")]


async def test_the_dependent_says_why_in_brackets(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        node.scripts[WorkloadType.ZMOUNT].fail["provision"] = WorkloadError("pool is full")
        key = await node.deploy_with_contract(full())
        await node.until(lambda: node.states(key)["vm1"] == "error")
        assert node.message(key, "vm1") == "needs 'disk1', which failed (disk1: pool is full)"
        assert node.states(key)["net1"] == "ok"
        assert node.scripts[WorkloadType.ZMACHINE].calls == []
        node.scripts[WorkloadType.ZMOUNT].fail.clear()
        await node.settled()
        assert set(node.states(key).values()) == {"ok"}


async def test_a_failing_workload_does_not_harm_its_neighbours(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        node.scripts[WorkloadType.ZMOUNT].fail["provision:bad"] = WorkloadError("no")
        key = await node.deploy_with_contract(deployment(zmount("bad"), zmount("good"), network()))
        await node.until(lambda: node.states(key)["net1"] == "ok")
        assert node.states(key) == {"bad": "error", "good": "ok", "net1": "ok"}


async def test_our_own_fault_is_no_text_for_the_tenant(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        node.scripts[WorkloadType.ZMOUNT].fail["provision"] = KeyError("secret detail")
        key = await node.deploy_with_contract(deployment(zmount("disk1")))
        await node.until(lambda: node.states(key)["disk1"] == "error")
        assert node.message(key, "disk1") == "internal error of the node: KeyError"


async def test_a_failed_removal_is_retried_and_visible(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        key = await node.deploy_with_contract(full())
        await node.settled()
        machines = node.scripts[WorkloadType.ZMACHINE]
        machines.fail["deprovision"] = WorkloadError("guest does not stop")
        await node.orders.leave(key, "contract canceled event received")
        await node.until(lambda: node.states(key).get("vm1") == "error")
        assert node.message(key, "vm1") == "guest does not stop"
        # The disk of a machine that still runs is not taken away under it.
        await node.until(lambda: node.message(key, "disk1") == "removal waits: still used by 'vm1'")
        assert ("deprovision", "disk1") not in node.scripts[WorkloadType.ZMOUNT].calls
        machines.fail.clear()
        await node.until(lambda: node.journal.ledger.get(key) is None)


async def test_a_network_stays_until_its_last_user_in_another_deployment_is_gone(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        owner = await node.deploy_with_contract(deployment(network(), contract=1))
        await node.settled()
        user = await node.deploy_with_contract(deployment(machine(), contract=2))
        await node.settled()
        await node.orders.leave(owner, "contract canceled event received")
        await node.until(lambda: "removal waits" in node.message(owner, "net1"))
        assert node.states(owner) == {"net1": "ok"}
        assert "26-2-vm1" in node.message(owner, "net1")
        await node.orders.leave(user, "contract canceled event received")
        await node.until(lambda: len(node.journal.ledger) == 0)


async def test_a_provisioner_that_says_in_use_makes_the_removal_wait(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        key = await node.deploy_with_contract(deployment(network()))
        await node.settled()
        node.scripts[WorkloadType.NETWORK].fail["deprovision"] = InUse("a tap is still there")
        await node.orders.leave(key, "gone")
        await node.until(lambda: node.message(key, "net1") == "removal waits: a tap is still there")
        node.scripts[WorkloadType.NETWORK].fail.clear()
        await node.until(lambda: len(node.journal.ledger) == 0)


async def test_a_machine_waits_for_a_network_of_another_deployment(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        gate = node.scripts[WorkloadType.NETWORK].gates["provision"] = asyncio.Event()
        await node.deploy_with_contract(deployment(network(), contract=1))
        user = await node.deploy_with_contract(deployment(machine(), contract=2))
        await asyncio.sleep(0.1)
        assert node.states(user) == {"vm1": "init"}
        gate.set()
        await node.settled()
        assert await node.changes(user) == [("vm1", "init"), ("vm1", "ok")]


class TestUpdate:
    async def start(self, node: Daemon) -> None:
        self.key = await node.deploy_with_contract(full())
        await node.settled()

    def grown(self, size: int = 2 << 30) -> object:
        return deployment(
            machine("vm1", "net1", {"disk1": "/data"}, public="ip1"),
            zmount("disk1", size, version=1),
            network("net1"),
            __import__("tests.zosd.parts", fromlist=["public_ip"]).public_ip("ip1"),
            version=1,
        )

    async def update(self, node: Daemon, size: int = 2 << 30) -> None:
        new = self.grown(size)
        node.chain.sign_up(new)
        await node.update(new)

    async def test_works(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            await self.start(node)
            await self.update(node)
            await node.settled()
            record = node.journal.ledger.get(self.key)
            assert record is not None
            assert record.header.version == 1
            disk = record.workload("disk1")
            assert disk is not None
            assert disk.definition.version == 1
            assert (await node.changes(self.key))[-1] == ("disk1", "ok")

    async def test_refused_is_unchanged_and_the_old_one_goes_on(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            await self.start(node)
            disks = node.scripts[WorkloadType.ZMOUNT]
            disks.fail["update"] = Unchanged("not safe to shrink a disk")
            await self.update(node)
            await node.settled()
            record = node.journal.ledger.get(self.key)
            assert record is not None
            disk = record.workload("disk1")
            assert disk is not None
            assert (disk.definition.version, disk.result.state.value) == (0, "ok")
            last = (await node.journal.history(self.key))[-1]
            assert (last.version, last.result.state.value) == (1, "unchanged")
            assert last.result.message == "not safe to shrink a disk"

    async def test_failed_half_way_restores_the_old_one(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            await self.start(node)
            disks = node.scripts[WorkloadType.ZMOUNT]
            disks.fail["update"] = WorkloadError("resize2fs failed")
            disks.calls.clear()
            await self.update(node)
            await node.settled()
            assert disks.calls == [("update", "disk1"), ("provision", "disk1")]
            assert node.states(self.key)["disk1"] == "ok"
            assert (await node.changes(self.key))[-1] == ("disk1", "unchanged")

    async def test_removes_first_then_adds(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            key = await node.deploy_with_contract(deployment(zmount("old"), network()))
            await node.settled()
            new = deployment(zmount("new", version=1), network(), version=1)
            node.chain.sign_up(new)
            node.scripts[WorkloadType.ZMOUNT].calls.clear()
            await node.update(new)
            await node.settled()
            assert node.scripts[WorkloadType.ZMOUNT].calls == [("deprovision", "old"), ("provision", "new")]
            history = await node.journal.history(key)
            gone = next(one for one in history if one.result.state == "deleted")
            assert (gone.name, gone.result.message) == ("old", "deleted by an update")
            assert list(node.states(key)) == ["new", "net1"]


async def test_pause_and_resume(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        key = await node.deploy_with_contract(full())
        await node.settled()
        await node.orders.pause(key, True)
        await node.settled()
        assert set(node.states(key).values()) == {"paused"}
        assert node.message(key, "net1") == "paused"
        await node.orders.pause(key, False)
        await node.settled()
        assert set(node.states(key).values()) == {"ok"}


async def test_lock_followed_at_once_by_unlock_leaves_it_ok(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        key = await node.deploy_with_contract(full())
        await node.orders.pause(key, True)
        await node.orders.pause(key, False)
        await node.settled()
        assert set(node.states(key).values()) == {"ok"}


async def test_a_machine_that_died_is_shown_and_made_again(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        key = await node.deploy_with_contract(full())
        await node.settled()
        record = node.journal.ledger.get(key)
        assert record is not None
        id = record.workloads[0].id
        gate = node.scripts[WorkloadType.ZMACHINE].gates["provision"] = asyncio.Event()
        await node.engine.fallen(id, "guest ended with signal 9")
        await node.until(lambda: node.states(key)["vm1"] == "error")
        assert node.message(key, "vm1") == "guest ended with signal 9"
        gate.set()
        await node.settled()
        assert node.states(key)["vm1"] == "ok"


class Striding(SystemClock):
    """Each look at it is a stride later than the one before."""

    def __init__(self, stride: float) -> None:
        self.stride, self.moment = stride, 0.0

    def monotonic(self) -> float:
        self.moment += self.stride
        return self.moment

    def jitter(self) -> float:
        return 0.5


async def test_a_try_that_becomes_due_between_two_looks_is_not_forgotten(tmp_path: Path) -> None:
    pause = 0.04
    settings = replace(FAST, backoff=Backoff(pause, pause))
    for stride in (0.3, 0.6, 0.9):
        async with daemon(tmp_path / str(stride), settings=settings) as node:
            key = await node.deploy_with_contract(full())
            await node.settled()
            node.engine._clock = Striding(stride * pause)
            await node.engine.fallen(WorkloadId.parse(f"{key}-vm1"), "the guest stopped")
            await node.settled()
            assert node.states(key)["vm1"] == "ok"


async def test_crashes_in_a_row_are_counted_over_short_lives(tmp_path: Path) -> None:
    settings = type(FAST)(FAST.parallel, FAST.limits, type(FAST.backoff)(0.01, 60.0))
    async with daemon(tmp_path, settings=settings) as node:
        key = await node.deploy_with_contract(full())
        await node.settled()
        for count in (1, 2, 3):
            record = node.journal.ledger.get(key)
            assert record is not None
            await node.engine.fallen(record.workloads[0].id, "died")
            record = node.journal.ledger.get(key)
            assert record is not None
            assert record.workloads[0].attempts == count
            await node.settled()


async def test_deployments_run_side_by_side_but_each_in_order(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        disks = node.scripts[WorkloadType.ZMOUNT]
        gate = disks.gates["provision"] = asyncio.Event()
        for contract in (1, 2, 3):
            await node.deploy_with_contract(deployment(zmount("a"), zmount("b"), contract=contract))
        await node.until(lambda: len(disks.calls) == 3)
        await asyncio.sleep(0.05)
        assert [name for _, name in disks.calls] == ["a", "a", "a"]
        gate.set()
        await node.settled()


async def test_an_act_that_hangs_is_ended_and_others_go_on(tmp_path: Path) -> None:
    from zosd.engine.acts import Limits

    settings = type(FAST)(FAST.parallel, Limits(0.1, 0.1), FAST.backoff)
    async with daemon(tmp_path, settings=settings) as node:
        node.scripts[WorkloadType.ZMOUNT].gates["provision"] = asyncio.Event()
        stuck = await node.deploy_with_contract(deployment(zmount("disk1"), contract=1))
        other = await node.deploy_with_contract(deployment(network(), contract=2))
        await node.until(lambda: node.states(stuck)["disk1"] == "error")
        assert node.message(stuck, "disk1") == "install did not end within 0.1 s"
        assert node.states(other) == {"net1": "ok"}


@pytest.mark.parametrize("verb", ["pause", "resume"])
async def test_a_failed_pause_is_tried_again(tmp_path: Path, verb: str) -> None:
    async with daemon(tmp_path) as node:
        key = await node.deploy_with_contract(full())
        await node.settled()
        script = node.scripts[WorkloadType.ZMACHINE]
        script.fail[verb] = WorkloadError("qmp timed out")
        await node.orders.pause(key, True)
        if verb == "resume":
            await node.settled()
            await node.orders.pause(key, False)
        await node.until(lambda: script.calls.count((verb, "vm1")) >= 2)
        script.fail.clear()
        await node.settled()
        assert node.states(key)["vm1"] == ("paused" if verb == "pause" else "ok")


async def test_what_needs_a_machine_that_rests_keeps_no_job_open(tmp_path: Path) -> None:
    """A reboot during the grace period: the machine waits for its money, and so does what reads its log."""
    logs = raw("logs", WorkloadType.ZLOGS, '{"zmachine":"vm1","output":"redis://192.0.2.9/x"}')
    wanted = deployment(machine("vm1"), network(), logs)
    chain = FakeChain()
    async with daemon(tmp_path, chain) as node:
        key = await node.deploy_with_contract(wanted)
        await node.settled()
        await node.orders.pause(key, True)
        await node.settled()
    shutil.rmtree(tmp_path / "run")
    async with daemon(tmp_path, chain) as node:
        await node.engine.adopted.wait()
        await node.settled()
        assert set(node.states(key).values()) == {"paused"}
        assert [path.stem for path in (tmp_path / "run" / "null").rglob("*.json")] == [f"{key}-net1"]
        await node.orders.pause(key, False)
        await node.settled()
        assert set(node.states(key).values()) == {"ok"}
