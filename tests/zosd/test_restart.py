"""What the engine does with what it finds when it starts."""

from __future__ import annotations

import asyncio
from pathlib import Path

from gridtypes import WorkloadType
from tests.zosd.parts import (
    daemon,
    deployment,
    full,
    network,
    zmount,
)
from zosd.accept.drafts import key_of


class TestRestart:
    async def test_adopts_what_runs_without_a_new_record(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            key = await node.deploy_with_contract(full())
            await node.settled()
            before = await node.changes(key)
            chain = node.chain
        async with daemon(tmp_path, chain) as node:
            await asyncio.wait_for(node.engine.adopted.wait(), 60)
            await asyncio.sleep(0.1)
            assert await node.changes(key) == before
            assert node.scripts[WorkloadType.ZMACHINE].calls == [("recover", "vm1")]

    async def test_makes_again_what_a_reboot_took(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            key = await node.deploy_with_contract(full())
            await node.settled()
            chain = node.chain
        for file in (tmp_path / "run" / "null").rglob("*.json"):
            file.unlink()
        async with daemon(tmp_path, chain) as node:
            await node.until(lambda: ("provision", "vm1") in node.scripts[WorkloadType.ZMACHINE].calls)
            assert node.states(key)["vm1"] == "ok"

    async def test_removes_what_nobody_owns(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            await node.deploy_with_contract(full())
            await node.settled()
        shelf = tmp_path / "run" / "null"
        for file in list(shelf.rglob("*.json")):
            file.with_name("26-77-leftover.json").write_bytes(file.read_bytes())
        async with daemon(tmp_path) as node:
            await node.until(lambda: not list(shelf.rglob("26-77-leftover.json")))
            assert len(list(shelf.rglob("*.json"))) == 4

    async def test_a_new_journal_spares_disks_for_good(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            await node.deploy_with_contract(full())
            await node.settled()
        for part in tmp_path.glob("journal.db*"):
            part.unlink()
        shelf = tmp_path / "run" / "null"
        for _ in range(2):
            async with daemon(tmp_path) as node:
                await node.until(lambda: len(list(shelf.rglob("*.json"))) == 1)
                assert [file.parent.name for file in shelf.rglob("*.json")] == ["zmount"]

    async def test_a_machine_that_mends_itself_is_shown_but_left_to_it(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            key = await node.deploy_with_contract(full())
            await node.settled()
            machines = node.scripts[WorkloadType.ZMACHINE]
            machines.calls.clear()
            record = node.journal.ledger.get(key)
            assert record is not None
            id = record.workloads[0].id
            await node.engine.reported(id, "the machine ended (killed), once; it is started again after 1 s")
            assert node.states(key)["vm1"] == "error"
            assert "started again" in node.message(key, "vm1")
            await asyncio.sleep(0.05)
            assert machines.calls == []
            await node.engine.reported(id, None)
            assert node.states(key)["vm1"] == "ok"
            assert machines.calls == []

    async def test_a_machine_that_dies_before_its_start_was_written_down_is_shown(
        self, tmp_path: Path
    ) -> None:
        async with daemon(tmp_path) as node:
            machines = node.scripts[WorkloadType.ZMACHINE]
            gate = machines.gates["provision"] = asyncio.Event()
            key = await node.deploy_with_contract(full())
            await node.until(lambda: bool(machines.calls))
            record = node.journal.ledger.get(key)
            assert record is not None
            await node.engine.reported(record.workloads[0].id, "the machine ended, once")
            gate.set()
            await node.until(lambda: node.states(key)["vm1"] == "error")
            assert node.message(key, "vm1") == "the machine ended, once"

    async def test_two_hundred_deployments_are_adopted_fast(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            node.node.free_ssd = 1 << 50
            for contract in range(1, 201):
                wanted = deployment(network(f"n{contract}"), zmount("d"), contract=contract)
                node.chain.sign_up(wanted)
                await node.deploy(wanted)
            await node.settled(60)
            chain = node.chain
        start = asyncio.get_running_loop().time()
        async with daemon(tmp_path, chain) as node:
            await asyncio.wait_for(node.engine.adopted.wait(), 10)
            assert len(node.journal.ledger) == 200
            assert asyncio.get_running_loop().time() - start < 5

    async def test_networks_are_looked_at_again_when_the_ground_under_them_changed(
        self, tmp_path: Path
    ) -> None:
        async with daemon(tmp_path) as node:
            await node.deploy_with_contract(full())
            await node.settled()
            networks = node.scripts[WorkloadType.NETWORK]
            networks.calls.clear()
            node.engine.look_again(WorkloadType.NETWORK)
            await node.until(lambda: bool(networks.calls))
            await asyncio.sleep(0.05)
            assert networks.calls == [("recover", "net1")]

    async def test_a_paused_machine_that_a_reboot_took_is_not_started(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            key = await node.deploy_with_contract(full())
            await node.settled()
            await node.orders.pause(key, True)
            await node.settled()
            chain = node.chain
        for file in (tmp_path / "run" / "null").rglob("*.json"):
            file.unlink()
        async with daemon(tmp_path, chain) as node:
            await node.until(lambda: ("provision", "net1") in node.scripts[WorkloadType.NETWORK].calls)
            await asyncio.sleep(0.1)
            assert set(node.states(key).values()) == {"paused"}
            assert node.scripts[WorkloadType.ZMACHINE].calls == []
            await node.orders.pause(key, False)
            await node.settled()
            assert set(node.states(key).values()) == {"ok"}
            assert ("provision", "vm1") in node.scripts[WorkloadType.ZMACHINE].calls

    async def test_goes_on_with_what_was_accepted_but_not_done(self, tmp_path: Path) -> None:
        async with daemon(tmp_path, start=False) as node:
            new = full()
            node.chain.sign_up(new)
            node.engine.wake = lambda key: None  # type: ignore[method-assign]
            node.acceptor._accepted = lambda key: None
            await node.deploy(new)
            chain = node.chain
        async with daemon(tmp_path, chain) as node:
            await node.settled()
            assert set(node.states(key_of(new)).values()) == {"ok"}
