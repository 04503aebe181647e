"""What the node tells the chain and hears from it, with a chain in memory."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridtypes import ContractId, FarmId, TwinId
from tests.zosd.memory_chain import NODE_FIELDS, FastClock, MemoryChain, beside, follower, node_object
from tests.zosd.parts import NODE, TWIN, Daemon, daemon, deployment, full, machine, network, zmount
from tfchain.keys import Identity
from tfchain.models import (
    ContractState,
    PublicIp,
)
from zosd.chainlife.farmer import Farmer
from zosd.chainlife.follower import CANCELLED
from zosd.chainlife.notes import CURSOR, PUBLIC_CONFIG
from zosd.chainlife.registered import Registered
from zosd.chainlife.registration import Registration
from zosd.chainlife.reports import ResourceReports, Uptime
from zosd.clock import SystemClock
from zosd.config import CapacitySection, ChainSection, NodeSection
from zosd.journal.records import Key
from zosd.null_machine import NullMachine


class TestFollower:
    async def test_a_cancelled_contract_ends_its_deployment(self, tmp_path: Path) -> None:
        chain = MemoryChain()
        async with daemon(tmp_path) as node:
            key = await node.deploy_with_contract(full())
            await node.settled()
            gate = node.scripts[next(t for t in node.scripts if t == "zmachine")].gates["deprovision"] = (
                asyncio.Event()
            )
            async with beside(lambda: follower(node, chain).follow(NODE)):
                chain.happen("NodeContractCanceled", 1000, node=8)  # another node's
                chain.happen("NodeContractCanceled", 1000)
                await node.until(lambda: any(w.leaving for w in node.journal.ledger.all()[0].workloads))
                assert node.journal.ledger.all()[0].workloads[0].leaving == CANCELLED
                gate.set()
                await node.until(lambda: node.journal.ledger.get(key) is None)
                chain.happen("NodeContractCanceled", 1000)  # told twice
                chain.happen("NodeContractCanceled", 4242)  # never seen
                await node.until(lambda: chain.blocks.empty())
                await node.until(lambda: node.journal.ledger.note(CURSOR) is not None)

    async def test_grace_period_pauses_and_its_end_resumes(self, tmp_path: Path) -> None:
        chain = MemoryChain()
        async with daemon(tmp_path) as node:
            key = await node.deploy_with_contract(full())
            await node.settled()
            async with beside(lambda: follower(node, chain).follow(NODE)):
                chain.happen("ContractGracePeriodStarted", 1000, block_number=7)
                await node.until(lambda: set(node.states(key).values()) == {"paused"})
                chain.happen("ContractGracePeriodEnded", 1000)
                await node.until(lambda: set(node.states(key).values()) == {"ok"})

    async def test_an_event_whose_work_failed_is_worked_on_again(self, tmp_path: Path) -> None:
        chain = MemoryChain()
        async with daemon(tmp_path) as node:
            key = await node.deploy_with_contract(full())
            await node.settled()
            real, failures = node.orders.leave, [OSError("disk full")]

            async def leave(key: Key, reason: str) -> None:
                if failures:
                    chain.happen("NodeContractCanceled", 1000)  # the stream gives the block again
                    raise failures.pop()
                await real(key, reason)

            node.orders.leave = leave  # type: ignore[method-assign]
            async with beside(lambda: follower(node, chain).follow(NODE)):
                chain.happen("NodeContractCanceled", 1000)
                await node.until(lambda: node.journal.ledger.get(key) is None)

    async def test_a_contract_that_ended_between_look_and_commit(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            await node.orders.leave(Key(TWIN, ContractId(1000)), CANCELLED)
            key = await node.deploy_with_contract(full())
            await node.orders.catch_up(key)
            await node.until(lambda: node.journal.ledger.get(key) is None)

    async def test_a_grace_period_that_began_between_look_and_commit(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            wanted = full()
            node.chain.sign_up(wanted)
            key = Key(TWIN, wanted.contract_id)
            await node.orders.pause(key, True)  # nothing of it is here yet
            await node.deploy(wanted)
            await node.orders.catch_up(key)
            await node.settled()
            record = node.journal.ledger.get(key)
            assert record is not None
            assert record.paused
            await node.orders.pause(key, False)
            await node.settled()
            await node.orders.catch_up(key)  # said once
            assert node.states(key)["vm1"] == "ok"

    async def test_comparison_finds_what_was_missed(self, tmp_path: Path) -> None:
        chain = MemoryChain()
        async with daemon(tmp_path) as node:
            for contract in (1, 2, 3, 4):
                await node.deploy_with_contract(deployment(zmount("d"), contract=contract))
            await node.settled()
            chain.sign_up(1)
            chain.sign_up(2, ContractState.GRACE_PERIOD)
            chain.sign_up(3, ContractState.DELETED)
            watcher = follower(node, chain)
            await watcher.compare(NODE)
            await node.until(lambda: len(node.journal.ledger) == 3)
            await node.settled()
            states = {record.key.contract: node.states(record.key) for record in node.journal.ledger.all()}
            # 4 is younger than what a lagging endpoint may know.
            assert states == {1: {"d": "ok"}, 2: {"d": "paused"}, 4: {"d": "ok"}}
            watcher._clock.time = lambda: SystemClock().time() + 3600  # type: ignore[method-assign]
            await watcher.compare(NODE)
            await node.until(lambda: len(node.journal.ledger) == 2)
            chain.sign_up(2)
            await watcher.compare(NODE)
            await node.settled()
            assert node.states(Key(TWIN, ContractId(2))) == {"d": "ok"}

    async def test_an_older_state_ends_nothing(self, tmp_path: Path) -> None:
        """The endpoint knows the newest block, and answers with a state from before the deployment."""
        chain = MemoryChain(ahead=-3600)
        async with daemon(tmp_path) as node:
            await node.deploy_with_contract(deployment(zmount("d")))
            await node.settled()
            watcher = follower(node, chain)
            watcher._clock.time = lambda: SystemClock().time() + 1200  # type: ignore[method-assign]
            await watcher.compare(NODE)
            assert len(node.journal.ledger) == 1
            assert not node.journal.ledger.all()[0].workloads[0].leaving
            chain.ahead = 60
            await watcher.compare(NODE)
            await node.until(lambda: len(node.journal.ledger) == 0)

    async def test_an_endpoint_that_is_behind_ends_nothing(self, tmp_path: Path) -> None:
        chain = MemoryChain()
        async with daemon(tmp_path) as node:
            await node.deploy_with_contract(deployment(zmount("d")))
            await node.settled()
            watcher = follower(node, chain)
            watcher._clock.time = lambda: SystemClock().time() + 3600  # type: ignore[method-assign]
            watcher._cursor.number = chain.number + 50
            await watcher.compare(NODE)
            assert node.states(Key(TWIN, ContractId(1000))) == {"d": "ok"}

    async def test_a_failed_comparison_is_tried_again_within_a_minute(self, tmp_path: Path) -> None:
        chain = MemoryChain(away=3)
        async with daemon(tmp_path) as node:
            watcher = follower(node, chain)
            real = asyncio.timeout
            async with beside(lambda: watcher.compare_for_ever(NODE)):
                await asyncio.sleep(0.05)
            assert chain.away == 2
            assert real is asyncio.timeout


class TestReports:
    async def test_uptime_again_within_a_minute_after_a_failure(self) -> None:
        chain, clock = MemoryChain(away=2), FastClock()
        uptime = Uptime(chain, Identity.generate(), clock, 2400, 30)  # type: ignore[arg-type]
        async with beside(uptime.run):
            async with asyncio.timeout(60):
                while not chain.calls:
                    await asyncio.sleep(0.01)
            await asyncio.sleep(0)
        assert clock.sleeps == [30, 30, 2400]
        (_, (seconds, hint)) = chain.calls[0]
        assert seconds > 0
        assert abs(hint - clock.time()) < 5

    async def test_resources_after_a_change_and_once_after_a_start(self, tmp_path: Path) -> None:
        chain, clock = MemoryChain(away=1), FastClock()
        chain.refuse = {ContractId(2)}
        async with daemon(tmp_path) as node:
            await node.deploy_with_contract(deployment(network(), machine(), contract=1))
            await node.deploy_with_contract(deployment(zmount("a"), contract=2))
            await node.settled()
            reports = ResourceReports(chain, Identity.generate(), node.journal, clock, 30)  # type: ignore[arg-type]
            async with beside(reports.run):
                await node.until(lambda: len(chain.calls) == 1)
                (_, first) = chain.calls[0]
                assert first.contract_id == 1
                assert (first.used.cru, first.used.mru, first.used.sru) == (1, 1 << 30, 500 << 20)
                key = await node.deploy_with_contract(deployment(zmount("b"), contract=3))
                await node.settled()
                reports.changed(key)
                await node.until(lambda: len(chain.calls) == 2)
                assert chain.calls[1][1].contract_id == 3
                reports.changed(key)  # nothing new about it
                await asyncio.sleep(0.05)
                assert len(chain.calls) == 2


class TestRegistration:
    def registration(
        self, node: Daemon, chain: MemoryChain, **fields: Any
    ) -> tuple[Registration, Registered]:
        key = Identity.generate()
        registered = Registered(node.journal, key.public_key, key.address)
        section = NodeSection(farm=1, country="Belgium", city="Gent", **fields)
        made = NullMachine(CapacitySection(cru=4, mru=8 << 30), lambda: __import__("gridtypes").Capacity())
        settings = ChainSection(urls=("ws://x",), activation="http://x/activate")
        clock = FastClock()
        return (
            Registration(
                chain,  # type: ignore[arg-type]
                key,
                section,
                settings,
                made,
                registered,
                clock,
                86400,
                Farmer(node.journal),
            ),
            registered,
        )

    async def test_first_start_makes_everything_in_order(self, tmp_path: Path) -> None:
        chain = MemoryChain(away=2)
        async with daemon(tmp_path) as node:
            registration, registered = self.registration(node, chain)
            told: list[Any] = []
            registered.told.append(told.append)
            with pytest.raises(Exception, match="registration is still in progress"):
                registered.node_id()
            async with beside(registration.run):
                await asyncio.wait_for(registered.done.wait(), 60)
            assert [call for call, _ in chain.calls] == ["activate", "terms", "twin", "create"]
            assert registered.node_id() == NODE
            assert Farmer(node.journal).twin == 3
            assert [(facts.node, facts.twin) for facts in told] == [(NODE, 5)]
            # A second start with the same data changes nothing.
            chain.calls.clear()
            async with beside(registration.run):
                await asyncio.sleep(0.05)
            assert chain.calls == []

    async def test_a_farm_that_is_not_there_is_said_by_its_number(self, tmp_path: Path) -> None:
        chain = MemoryChain(unknown_farms={FarmId(1)})
        async with daemon(tmp_path) as node:
            registration, registered = self.registration(node, chain)
            async with beside(registration.run):
                await node.until(lambda: "tried again" in registered.trouble)
                assert "farm 1 does not exist on this chain: check its number" in registered.trouble
                assert "create" not in [call for call, _ in chain.calls]
                chain.unknown_farms.clear()
                await asyncio.wait_for(registered.done.wait(), 60)
            assert registered.node_id() == NODE

    async def test_relays_of_the_twin_are_those_of_the_configuration(self, tmp_path: Path) -> None:
        chain = MemoryChain(relay="old.example", terms=True, money=10**7, own_twin=TwinId(5))
        async with daemon(tmp_path) as node:
            registration, registered = self.registration(node, chain)
            registration._node = registration._node.model_copy(update={"relays": ("b.example", "a.example")})
            async with beside(registration.run):
                await registered.done.wait()
            assert ("update twin", ("a.example_b.example", b"pk")) in chain.calls
            # In another order they are the same.
            chain.relay, chain.calls = "b.example_a.example", []
            assert await registration._ensure_twin() == 5
            assert chain.calls == []

    async def test_ids_are_known_without_a_chain_at_the_next_start(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            registered = Registered(node.journal, b"a" * 32, "x")
            await registered.set(NODE, TwinId(5))
            assert Registered(node.journal, b"a" * 32, "x").node_id() == NODE
            # Another key is another node.
            assert not Registered(node.journal, b"b" * 32, "x").done.is_set()

    async def test_a_change_updates_the_node_object(self, tmp_path: Path) -> None:
        chain = MemoryChain()
        async with daemon(tmp_path) as node:
            registration, registered = self.registration(node, chain)
            async with beside(registration.run):
                await asyncio.wait_for(registered.done.wait(), 60)
            assert chain.made is not None
            chain.made = replace(chain.made, serial_number="old", virtualized=False)
            chain.calls.clear()
            async with beside(registration.run):
                await node.until(lambda: bool(chain.calls))
            assert [call for call, _ in chain.calls] == ["update"]
            # What the chain calls not virtualized stays so.
            assert chain.made.virtualized is False

    async def test_the_farms_addresses_are_told_and_remembered_while_the_chain_is_away(
        self, tmp_path: Path
    ) -> None:
        chain, told = MemoryChain(), []
        chain.farm_addresses = (PublicIp("185.206.122.3/24", "185.206.122.1"),)
        chain.made = node_object(NODE, TWIN, dict.fromkeys(NODE_FIELDS) | {"farm": FarmId(1)})
        async with daemon(tmp_path) as node:
            await follower(node, chain, told.append).compare(NODE)
            assert told == [["185.206.122.3/24"]]
        async with daemon(tmp_path) as node:
            follower(node, chain, told.append).recall()
            assert told == [["185.206.122.3/24"]] * 2

    async def test_public_config_is_kept_for_the_api(self, tmp_path: Path) -> None:
        chain = MemoryChain()
        async with daemon(tmp_path) as node:
            await follower(node, chain)._put_public_config(None)
            assert node.journal.ledger.note(PUBLIC_CONFIG) == b"null"
