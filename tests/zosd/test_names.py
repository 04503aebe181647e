"""A gateway lives as long as the name contract that it needs."""

from __future__ import annotations

from pathlib import Path

from gridtypes import ContractId, TwinId
from tests.faults.workloads import gateways
from tests.zosd.memory_chain import MemoryChain, beside, follower
from tests.zosd.parts import NODE, TWIN, Daemon, daemon, deployment, zmount
from zosd.clock import SystemClock
from zosd.journal.records import Key

GATEWAY, NAME = "agwn", "aname"


async def _with_gateway(node: Daemon, chain: MemoryChain, contract: int = 1000) -> Key:
    node.chain.names[NAME] = TWIN
    chain.reserve(NAME, 77)
    chain.sign_up(contract)
    key = await node.deploy_with_contract(deployment(*gateways("a"), zmount("d"), contract=contract))
    await node.settled()
    return key


async def test_a_cancelled_name_takes_its_gateway_and_nothing_else(tmp_path: Path) -> None:
    chain = MemoryChain()
    async with daemon(tmp_path) as node:
        key = await _with_gateway(node, chain)
        async with beside(lambda: follower(node, chain).follow(NODE)):
            chain.reserve("other", 78)
            chain.release("other")
            chain.release(NAME)
            await node.until(lambda: GATEWAY not in node.states(key))
        await node.settled()
        assert set(node.states(key).values()) == {"ok"}
        assert len(node.states(key)) == 2
        last = (await node.journal.history(key))[-1]
        assert last.name == GATEWAY
        assert last.result.state.value == "deleted"
        assert last.result.message == (
            f"workload decommissioned by system, reason: the name contract of '{NAME}' has ended"
        )


async def test_the_comparison_finds_names_that_ended_or_are_somebody_elses(tmp_path: Path) -> None:
    chain = MemoryChain()
    async with daemon(tmp_path) as node:
        key = await _with_gateway(node, chain)
        watcher = follower(node, chain)
        await watcher.compare(NODE)
        assert GATEWAY in node.states(key), "all is well"
        del chain.names[NAME]
        await watcher.compare(NODE)
        assert GATEWAY in node.states(key), "the endpoint may not know the name yet"
        chain.reserve(NAME, 79, TwinId(TWIN + 1))
        chain.ahead = -3600
        await watcher.compare(NODE)
        assert GATEWAY in node.states(key), "the state is older than the deployment"
        chain.ahead = 60
        await watcher.compare(NODE)
        await node.until(lambda: GATEWAY not in node.states(key))
        assert f"reserved by twin {TWIN + 1}" in (await node.journal.history(key))[-1].result.message


async def test_a_name_that_nobody_reserves_any_more_is_noticed_after_a_while(tmp_path: Path) -> None:
    chain = MemoryChain()
    async with daemon(tmp_path) as node:
        key = await _with_gateway(node, chain)
        del chain.names[NAME]
        watcher = follower(node, chain)
        watcher._clock.time = lambda: SystemClock().time() + 1200  # type: ignore[method-assign]
        await watcher.compare(NODE)
        await node.until(lambda: GATEWAY not in node.states(key))
        assert ContractId(1000) == key.contract
