"""A null node with a real development chain, a real Redis, and a user who makes contracts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from gridtypes import ContractId, Deployment, FarmId, NodeId, SignatureRequest, SignatureRequirement, TwinId
from rmb.redis_link import RedisAddress, RedisLink
from tests.rmb.redis_server import redis_server
from tests.zosd.parts import machine, network, public_ip, zmount
from tests.zosd.test_process import Bus, spawn
from tfchain import Chain, Identity

FARM_ADDRESSES = (("185.206.122.33/24", "185.206.122.1"), ("185.206.122.34/24", "185.206.122.1"))


class ChainProcess:
    def __init__(self, folder: Path, port: int, *flags: str) -> None:
        self.url = f"ws://127.0.0.1:{port}"
        self._arguments = ["--state", str(folder / "chain.db"), "--port", str(port), *flags]
        self._log = folder / "chain.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = [sys.executable, "-m", "tfchain.devchain.cli", *self._arguments]
        self._process = subprocess.Popen(program, stderr=self._log.open("ab"))

    def wait(self) -> None:
        """Until it answers."""
        deadline = time.monotonic() + 60
        while True:
            try:
                self.rpc("system_chain")
                return
            except OSError:
                assert time.monotonic() < deadline, self._log.read_text()[-2000:]
                time.sleep(0.1)

    def rpc(self, method: str, *params: Any, port: int = 0) -> Any:
        """Call a method over HTTP, of this endpoint or of another one that the process opened."""
        url = self.url.replace("ws:", "http:") if not port else f"http://127.0.0.1:{port}"
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": list(params)}).encode()
        request = urllib.request.Request(url, body, {"Content-Type": "application/json"})
        with urllib.request.urlopen(request, timeout=30) as answer:
            told = json.loads(answer.read())
        assert "error" not in told, told
        return told["result"]

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)
            self._process = None


@dataclass
class Grid:
    """One node with its chain and bus, and one user."""

    chain_process: ChainProcess
    chain: Chain
    bus: Bus
    folder: Path
    user: Identity
    twin: TwinId
    node: NodeId
    farm: FarmId
    process: subprocess.Popen[bytes]

    def sign(self, wanted: Deployment) -> Deployment:
        requirement = SignatureRequirement(
            requests=(SignatureRequest(twin_id=self.twin, required=False, weight=1),), weight_required=1
        )
        plain = replace(wanted, twin_id=self.twin, signature_requirement=requirement)
        return plain.sign(self.twin, self.user)

    async def contract(self, wanted: Deployment, ips: int = 0) -> Deployment:
        """Make the contract and put its number into the deployment."""
        signed = self.sign(wanted)
        hash = signed.challenge_hash().hex()
        id = await self.chain.create_node_contract(self.user, self.node, hash, "", ips)
        return replace(signed, contract_id=id)

    async def deploy(self, wanted: Deployment) -> None:
        await self.bus.call("zos.deployment.deploy", raw=wanted.to_json(), twin=self.twin)

    async def states(self, contract: ContractId) -> dict[str, str]:
        shown = await self.get(contract)
        return {one["name"]: one["result"]["state"] for one in shown["workloads"]} if shown else {}

    async def get(self, contract: ContractId) -> Any:
        with contextlib.suppress(RuntimeError):  # deployment not found
            return await self.bus.call("zos.deployment.get", {"contract_id": contract}, twin=self.twin)
        return None

    async def until(self, condition: Callable[[], Awaitable[Any]], seconds: float = 60) -> None:
        deadline = time.monotonic() + seconds
        while not await condition():
            assert time.monotonic() < deadline, (self.folder / "log").read_text()[-4000:]
            await asyncio.sleep(0.1)

    async def good(self, contract: ContractId) -> bool:
        return set((await self.states(contract)).values()) == {"ok"}


@pytest.fixture(scope="module")
def redis_socket() -> Iterator[str]:
    with redis_server() as path:
        yield path


@pytest.fixture
async def grid(tmp_path: Path, redis_socket: str, unused_tcp_port: int) -> AsyncIterator[Grid]:
    async with open_grid(tmp_path, redis_socket, unused_tcp_port, "--no-billing") as found:
        yield found


@asynccontextmanager
async def open_grid(
    tmp_path: Path,
    redis_socket: str,
    port: int,
    *flags: str,
    urls: Callable[[ChainProcess], Sequence[str]] = lambda chain: [chain.url],
    reports: str = "",
    program: Sequence[str] = (),
) -> AsyncIterator[Grid]:
    """A chain with these flags, and a node that knows it by `urls`.

    `reports`: more lines of its section of the configuration; `program`: as of `spawn`.
    """
    chain_process = ChainProcess(tmp_path, port, *flags)
    chain_process.start()
    link = RedisLink(RedisAddress.parse(redis_socket))
    await link.command("FLUSHALL")
    process = None
    try:
        async with Chain([chain_process.url]) as chain:
            farmer, user = Identity("//Alice", "sr25519"), Identity.generate()
            await chain.transfer(farmer, user.public_key, 10**12)
            for key in (farmer, user):
                await chain.accept_terms(key, "http://zos.tf/terms/v0.1", "9021d4dee05a661e2cb6838152c67f25")
            await chain.create_twin(farmer, None, None)
            twin = await chain.create_twin(user, None, None)
            farm = await chain.create_farm(farmer, "testfarm", FARM_ADDRESSES)
            key = Identity.load_or_generate(tmp_path / "state" / "key")
            await chain.transfer(farmer, key.public_key, 10**10)
            file = tmp_path / "zosd.toml"
            file.write_text(
                f"""
                [node]
                null = true
                farm = {farm}
                country = "Belgium"
                city = "Gent"
                longitude = "3.72"
                latitude = "51.05"
                [paths]
                state = "{tmp_path}/state"
                run = "{tmp_path}/run"
                [bus]
                redis = "unix://{redis_socket}"
                [chain]
                urls = {json.dumps(list(urls(chain_process)))}
                [reports]
                retry = 1
                compare_period = 5
                look_again = 3
                {reports}
                [capacity]
                cru = 8
                mru = {32 << 30}
                """
            )
            process = spawn(file, program)
            node_twin = None
            async with asyncio.timeout(60):
                while node_twin is None or (id := await chain.node_by_twin(node_twin)) is None:
                    await asyncio.sleep(0.1)
                    node_twin = await chain.twin_by_account(key.public_key)
            bus = Bus(link)
            yield Grid(chain_process, chain, bus, tmp_path, user, twin, id, farm, process)
    finally:
        if process is not None:
            process.send_signal(signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(20)
            process.kill()
        chain_process.kill()
        await link.close()


def everything(version: int = 0) -> Deployment:
    return Deployment(
        version=version,
        workloads=(
            network(),
            zmount("disk1"),
            public_ip("ip1"),
            machine("vm1", "net1", {"disk1": "/data"}, public="ip1"),
        ),
    )


async def test_life_with_a_chain(grid: Grid) -> None:
    # Registered with what it has.
    node = await grid.chain.node(grid.node)
    assert node is not None
    assert (node.farm_id, node.resources.cru, node.resources.mru) == (grid.farm, 8, 32 << 30)
    assert node.location.city == "Gent"

    # Deployed by contract.
    wanted = await grid.contract(everything(), ips=1)
    await grid.deploy(wanted)
    await grid.until(lambda: grid.good(wanted.contract_id))
    assert await grid.bus.call("zos.network.list_public_ips") != []

    # What it uses stands on the chain.
    async def reported() -> bool:
        used = (await grid.chain.contract_resources(wanted.contract_id)).used
        return used.mru == 1 << 30 and used.cru == 1

    await grid.until(reported)

    # Changed and signed again after the contract was made: refused at the hash.
    other = await grid.contract(Deployment(workloads=(zmount("x"),)))
    tampered = grid.sign(replace(other, description="tampered"))
    refusal = await grid.bus.refusal("zos.deployment.deploy", raw=tampered.to_json(), twin=grid.twin)
    assert refusal == "contract hash does not match deployment hash"
    # A contract that is nowhere is looked for, then refused with the block.
    ghost = replace(grid.sign(other), contract_id=ContractId(4242))
    refusal = await grid.bus.refusal("zos.deployment.deploy", raw=ghost.to_json(), twin=grid.twin)
    assert refusal.startswith(
        "failed to get deployment contract: contract not found: object not found (contract"
    )

    # The contract is cancelled: gone within seconds.
    await grid.chain.cancel_contract(grid.user, wanted.contract_id)

    async def gone() -> bool:
        return await grid.get(wanted.contract_id) is None

    await grid.until(gone)
    assert not list((grid.folder / "run" / "null").rglob(f"*-{wanted.contract_id}-*"))


async def test_the_chain_is_killed_and_comes_back(grid: Grid) -> None:
    first = await grid.contract(Deployment(workloads=(network(),)))
    await grid.deploy(first)
    await grid.until(lambda: grid.good(first.contract_id))
    second = await grid.contract(Deployment(workloads=(zmount("d"),)))
    third = await grid.contract(Deployment(workloads=(zmount("d", 2 << 30),)))
    await grid.chain.cancel_contract(grid.user, third.contract_id)
    grid.chain_process.kill()
    # The twin is known, so his deployment may wait; nothing that runs is touched.
    await grid.deploy(second)
    shown = await grid.get(second.contract_id)
    assert shown["workloads"][0]["result"]["state"] == "init"
    assert await grid.good(first.contract_id)
    grid.chain_process.start()
    await grid.until(lambda: grid.good(second.contract_id), 60)


async def test_cancelled_while_the_node_was_down(grid: Grid) -> None:
    wanted = await grid.contract(everything(), ips=1)
    await grid.deploy(wanted)
    await grid.until(lambda: grid.good(wanted.contract_id))
    grid.process.kill()
    await asyncio.to_thread(grid.process.wait, 10)
    await grid.chain.cancel_contract(grid.user, wanted.contract_id)
    await grid.bus.link.command("FLUSHALL")
    grid.process = spawn(grid.folder / "zosd.toml")
    try:

        async def gone() -> bool:
            return await grid.get(wanted.contract_id) is None

        await grid.until(gone)
    finally:
        grid.process.terminate()
        await asyncio.to_thread(grid.process.wait, 20)
