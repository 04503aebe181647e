"""A node that is rented as a whole, and a farm whose twin changes."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridtypes import FarmId, TwinId
from tests.faults.workloads import gateways
from tests.zosd.memory_chain import MemoryChain, follower
from tests.zosd.parts import NODE, TWIN, FakeChain, daemon, deployment, zmount
from tfchain.models import Farm
from zosd.accept.drafts import key_of
from zosd.accept.refusal import Refusal
from zosd.chainlife.farmer import Farmer
from zosd.chainlife.notes import FARMER


async def test_only_the_renter_may_deploy(tmp_path: Path) -> None:
    chain = FakeChain(rented_by=TwinId(99))
    async with daemon(tmp_path, chain) as node:
        wanted = deployment(zmount("d"))
        chain.sign_up(wanted)
        with pytest.raises(Refusal, match="node 7 is rented by twin 99: twin 26 cannot deploy on it"):
            await node.deploy(wanted)
        assert len(node.journal.ledger) == 0
        chain.rented_by = TWIN
        await node.deploy(wanted)
        await node.settled()


async def test_a_gateways_name_has_to_be_reserved_by_its_twin(tmp_path: Path) -> None:
    wanted = deployment(*gateways("a"))
    async with daemon(tmp_path) as node:
        node.chain.sign_up(wanted)
        node.chain.names["aname"] = None
        with pytest.raises(
            Refusal, match="a name contract with the given name must be reserved first: 'aname'"
        ):
            await node.deploy(wanted)
        node.chain.names["aname"] = TwinId(77)
        with pytest.raises(Refusal, match="the name 'aname' is reserved by twin 77, not by twin 26"):
            await node.deploy(wanted)
        assert len(node.journal.ledger) == 0
        node.chain.names["aname"] = TWIN
        await node.deploy(wanted)
        await node.settled()


async def test_a_name_that_was_given_up_while_the_chain_was_away_is_noticed(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        await node.deploy_with_contract(deployment(zmount("first"), contract=1))  # known from now on
        wanted = deployment(*gateways("a"), contract=2)
        node.chain.sign_up(wanted)
        node.chain.away = True
        await node.deploy(wanted)
        node.chain.away, node.chain.names["aname"] = False, None
        await node.waiting.round()
        assert "must be reserved first" in node.message(key_of(wanted), "agwn")


async def test_what_waited_for_the_chain_is_checked_for_the_renter_too(tmp_path: Path) -> None:
    chain = FakeChain()
    async with daemon(tmp_path, chain) as node:
        wanted = deployment(zmount("d"), contract=1)
        await node.deploy_with_contract(wanted)
        other = deployment(zmount("e"), contract=2)
        chain.sign_up(other)
        chain.away = True
        await node.deploy(other)
        chain.away, chain.rented_by = False, TwinId(99)
        await node.waiting.round()
        states = {record.key.contract: node.states(record.key) for record in node.journal.ledger.all()}
        assert states[other.contract_id] == {"e": "error"}
        (record,) = [one for one in node.journal.ledger.all() if one.key.contract == other.contract_id]
        assert "is rented by twin 99" in record.workloads[0].result.message


async def test_another_twin_of_the_farm_is_the_farmer_at_once(tmp_path: Path) -> None:
    async with daemon(tmp_path) as node:
        farmer = Farmer(node.journal)
        assert await farmer.get() is None
        await farmer.learn(TwinId(3))
        await farmer.learn(TwinId(4))
        assert await farmer.get() == 4
        assert node.journal.ledger.note(FARMER) == b"4"
        # Known after a restart, before the chain answers.
        assert await Farmer(node.journal).get() == 4


async def test_the_farms_twin_is_learnt_from_comparison_and_from_events(tmp_path: Path) -> None:
    chain = MemoryChain()
    async with daemon(tmp_path) as node:
        watcher = follower(node, chain)
        chain.made = None
        await watcher.compare(NODE)
        assert node.journal.ledger.note(FARMER) is None
        await watcher._put_farm(Farm(FarmId(1), "f", TwinId(12), 1, "NotCertified", (), False, None))
        assert node.journal.ledger.note(FARMER) == b"12"
