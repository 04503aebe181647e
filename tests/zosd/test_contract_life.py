"""A contract's whole life on a chain that bills, until the money is gone for good; and a chain in trouble."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from gridtypes import ContractId, Deployment
from tests.faults.workloads import gateways
from tests.zosd.parts import machine, network, public_ip, zmount
from tests.zosd.test_with_chain import ChainProcess, Grid, open_grid, redis_socket
from tfchain import Identity
from tfchain.models import Bill, ContractState

__all__ = ["redis_socket"]
pytestmark = pytest.mark.timeout(240)

HOUR_MS = 3_600_000
TFT = 10**7
LIMIT_S = 60.0
TRAFFIC = 10**15
"""Bytes; the chain charges by the window of the report, and it is short here."""
DISCOUNTS = {"None": 0.0, "Default": 0.2, "Bronze": 0.3, "Silver": 0.4, "Gold": 0.6}


def one(name: str = "vm1") -> Deployment:
    return Deployment(workloads=(network(f"{name}n", port=6000 + len(name)), machine(name, f"{name}n")))


async def poor(grid: Grid, leave: int) -> None:
    """Take all money but `leave` units from the user."""
    have = await grid.chain.balance(grid.user.public_key)
    await grid.chain.transfer(grid.user, Identity("//Bob", "sr25519").public_key, have - leave)


async def bill(grid: Grid, contract: ContractId, hours: int = 1) -> None:
    """Let time pass on the chain, and bill."""
    await asyncio.to_thread(grid.chain_process.rpc, "dev_newBlock", {"count": 1, "step": hours * HOUR_MS})
    await asyncio.to_thread(grid.chain_process.rpc, "dev_bill", contract)


async def state_of(grid: Grid, contract: ContractId) -> ContractState | None:
    found = await grid.chain.contract(contract)
    return found.state if found else None


async def test_grace_pauses_money_resumes_and_the_end_removes(
    tmp_path: Path, redis_socket: str, unused_tcp_port: int
) -> None:
    async with open_grid(tmp_path, redis_socket, unused_tcp_port, "--dev") as grid:
        wanted = await grid.contract(one())
        contract = wanted.contract_id
        await grid.deploy(wanted)
        await grid.until(lambda: grid.good(contract), LIMIT_S)

        async def reported() -> bool:
            return (await grid.chain.contract_resources(contract)).used.mru == 1 << 30

        await grid.until(reported, LIMIT_S)

        async def paused() -> bool:
            return (await grid.states(contract)).get("vm1") == "paused"

        # The money is gone: the chain puts the contract into grace, the node pauses what it runs.
        await poor(grid, 200_000)
        for _ in range(50):
            await bill(grid, contract, hours=24)
            if await state_of(grid, contract) is ContractState.GRACE_PERIOD:
                break
        assert await state_of(grid, contract) is ContractState.GRACE_PERIOD
        await grid.until(paused, LIMIT_S)
        # Money comes back: the next bill ends the grace period.
        await grid.chain.transfer(Identity("//Alice", "sr25519"), grid.user.public_key, 10_000 * TFT)
        await bill(grid, contract)
        assert await state_of(grid, contract) is ContractState.CREATED
        await grid.until(lambda: grid.good(contract), LIMIT_S)

        # It runs out for good: the contract ends, the node removes everything.
        await poor(grid, 200_000)
        await asyncio.to_thread(grid.chain_process.rpc, "dev_setGracePeriod", 3)
        for _ in range(50):
            await bill(grid, contract, hours=240)
            if await state_of(grid, contract) is None:
                break

        async def gone() -> bool:
            return await grid.get(contract) is None

        await grid.until(gone, LIMIT_S)
        assert not list((grid.folder / "run" / "null").rglob(f"*-{contract}-*"))


async def test_public_traffic_is_billed_with_its_contract_and_once(
    tmp_path: Path, redis_socket: str, unused_tcp_port: int
) -> None:
    """Two contracts for the same; the address of one of them is used."""
    counters = tmp_path / "counters.json"
    counters.write_text("{}")
    async with open_grid(
        tmp_path,
        redis_socket,
        unused_tcp_port,
        "--dev",
        "--no-billing",
        reports="traffic_period = 1",
        program=("tests.zosd.counted", str(counters)),
    ) as grid:
        contracts = []
        for number in range(2):
            wanted = await grid.contract(
                Deployment(metadata=str(number), workloads=(public_ip("ip"),)), ips=1
            )
            await grid.deploy(wanted)
            contracts.append(wanted.contract_id)
        used, idle = contracts
        for contract in contracts:
            await grid.until(lambda one=contract: grid.good(one), LIMIT_S)

        shown = {f"{grid.twin}-{contract}-ip": 0 for contract in contracts}
        await looked(grid, counters, shown)
        await looked(grid, counters, {**shown, f"{grid.twin}-{used}-ip": TRAFFIC})

        async def reported() -> bool:
            return await grid.chain.unbilled_network_use(used) > 0

        await grid.until(reported, LIMIT_S)
        assert await grid.chain.unbilled_network_use(idle) == 0
        # Told once: it does not become more while the node looks and reports on.
        await looked(grid, counters)
        traffic_usd = await grid.chain.unbilled_network_use(used)

        first = await bills(grid, contracts)
        more = before_discount(first[used]) - before_discount(first[idle])
        # They are billed a few seconds apart.
        assert more == pytest.approx(traffic_usd * 1000 / await grid.chain.tft_price(), rel=1e-3)
        # The next bill is without it.
        second = await bills(grid, contracts)
        assert before_discount(second[used]) == pytest.approx(before_discount(second[idle]), rel=0.1)


def before_discount(bill: Bill) -> float:
    """Units of 10^-7 TFT; the discount follows from how long the balance would pay such bills."""
    return bill.amount / (1 - DISCOUNTS[bill.discount])


async def looked(grid: Grid, counters: Path, shown: dict[str, int] | None = None) -> None:
    """Set what the counters show, until the node has looked at it."""
    if shown is not None:
        fresh = counters.with_suffix(".new")
        fresh.write_text(json.dumps(shown))
        fresh.rename(counters)
    looks = counters.with_name(f"{counters.name}.looks")

    def count() -> int:
        return len(looks.read_text()) if looks.exists() else 0

    before = count()

    async def again() -> bool:
        return count() >= before + 2  # the first may have been under way

    await grid.until(again, LIMIT_S)


async def bills(grid: Grid, contracts: Sequence[ContractId]) -> dict[ContractId, Bill]:
    """What each was billed for one hour more."""
    await asyncio.to_thread(grid.chain_process.rpc, "dev_newBlock", {"count": 1, "step": HOUR_MS})
    found = {}
    for contract in contracts:
        await asyncio.to_thread(grid.chain_process.rpc, "dev_bill", contract)
        billed = await grid.chain.last_bill(contract)
        assert billed is not None
        found[contract] = billed
    return found


async def test_a_gateway_needs_the_name_contract_of_its_twin(
    tmp_path: Path, redis_socket: str, unused_tcp_port: int
) -> None:
    async with open_grid(tmp_path, redis_socket, unused_tcp_port, "--dev", "--no-billing") as grid:
        wanted = await grid.contract(Deployment(workloads=gateways("a")[:1]))
        refusal = await grid.bus.refusal("zos.deployment.deploy", raw=wanted.to_json(), twin=grid.twin)
        assert refusal == "a name contract with the given name must be reserved first: 'aname'"
        name = await grid.chain.create_name_contract(grid.user, "aname")
        await grid.deploy(wanted)
        await grid.until(lambda: grid.good(wanted.contract_id), LIMIT_S)
        # Without the name the gateway has to go; its deployment stays.
        await grid.chain.cancel_contract(grid.user, name)

        async def gone() -> bool:
            return await grid.states(wanted.contract_id) == {}

        await grid.until(gone, LIMIT_S)
        assert await grid.get(wanted.contract_id) is not None


async def test_a_node_that_is_rented_serves_its_renter(
    tmp_path: Path, redis_socket: str, unused_tcp_port: int
) -> None:
    async with open_grid(tmp_path, redis_socket, unused_tcp_port, "--dev", "--no-billing") as grid:
        await grid.chain.create_rent_contract(grid.user, grid.node)
        wanted = await grid.contract(Deployment(workloads=(zmount("d"),)))
        await grid.deploy(wanted)
        await grid.until(lambda: grid.good(wanted.contract_id), LIMIT_S)


def in_trouble(chain: ChainProcess) -> Sequence[str]:
    """Four endpoints, of which the last is right: behind, with an older state, and one that never answers."""
    chain.wait()
    ports = [
        chain.rpc("dev_openEndpoint", {"lag": 12}),
        chain.rpc("dev_openEndpoint", {"older_state": 12}),
        chain.rpc("dev_openEndpoint", {"mute": True}),
    ]
    return [*(f"ws://127.0.0.1:{port}" for port in ports), chain.url]


async def test_one_right_endpoint_of_four_is_enough(
    tmp_path: Path, redis_socket: str, unused_tcp_port: int
) -> None:
    async with open_grid(
        tmp_path, redis_socket, unused_tcp_port, "--dev", "--no-billing", urls=in_trouble
    ) as grid:
        first = await grid.contract(Deployment(workloads=(zmount("d"),)))
        await grid.deploy(first)
        await grid.until(lambda: grid.good(first.contract_id), LIMIT_S)

        # Every connection is cut, and the chain goes on as another version of its runtime.
        await asyncio.to_thread(grid.chain_process.rpc, "dev_dropConnections")
        await asyncio.to_thread(grid.chain_process.rpc, "dev_setRuntimeVersion", 150)
        second = await grid.contract(Deployment(workloads=(zmount("d", 2 << 30),)))
        await grid.deploy(second)
        await grid.until(lambda: grid.good(second.contract_id), LIMIT_S)
        assert await grid.good(first.contract_id)

        await grid.chain.cancel_contract(grid.user, first.contract_id)

        async def gone() -> bool:
            return await grid.get(first.contract_id) is None

        await grid.until(gone, LIMIT_S)
        assert await grid.good(second.contract_id)


async def test_a_head_that_is_taken_back_ends_nothing(
    tmp_path: Path, redis_socket: str, unused_tcp_port: int
) -> None:
    async with open_grid(tmp_path, redis_socket, unused_tcp_port, "--dev", "--no-billing") as grid:
        kept = await grid.contract(Deployment(workloads=(zmount("d"),)))
        await grid.deploy(kept)
        await grid.until(lambda: grid.good(kept.contract_id), LIMIT_S)
        rpc = grid.chain_process.rpc
        await asyncio.to_thread(rpc, "dev_setFinalityDelay", 3_600_000)
        # A cancellation that is not final and is taken back has never been.
        await grid.chain.cancel_contract(grid.user, kept.contract_id)
        await asyncio.to_thread(rpc, "dev_reorganise", {"depth": 1, "keep": False})
        await asyncio.to_thread(rpc, "dev_setFinalityDelay", 0)
        await asyncio.to_thread(rpc, "dev_newBlock", {"count": 3})
        other = await grid.contract(Deployment(workloads=(zmount("d", 2 << 30),)))
        await grid.deploy(other)
        await grid.until(lambda: grid.good(other.contract_id), LIMIT_S)
        assert await grid.good(kept.contract_id)
