"""A user's workloads on a grid whose only node is a machine booted from the image."""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import psutil
import pytest

import rmb
from client import deployment_file
from client.deployment_file import DeploymentFile
from client.errors import ClientError
from client.grid_client import GridClient
from client.machine_console import attach
from devgrid import preflight
from devgrid.launcher import Grid
from devgrid.layout import GridLayout
from devgrid.startup import Progress
from gridtypes import ContractId, NodeId, ResultState
from gridtypes.results import PublicIPResult
from tests.grid.conftest import User
from tests.grid.files import IMAGE
from tests.grid.machine import Machine

pytestmark = [pytest.mark.root, pytest.mark.boots, pytest.mark.timeout(5400)]

T = TypeVar("T")

NODE = 1
LIMIT_S = 1800.0
"""An emulated node needs minutes from power-on to an answer."""
CUTS = 3
CUT_AFTER_S = 10.0, 40.0
"""An emulated node takes seconds for a deployment."""
SEED = 7
MIB = 1 << 20


@pytest.fixture(scope="module")
def user(image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[User]:
    """The user of a grid with one emulated node.  Nothing runs in the grid's folder afterwards."""
    before = Machine.now()
    layout = GridLayout(tmp_path_factory.mktemp("grid"), "emulated", 0, False, 1)
    if missing := preflight.check(layout):
        pytest.skip("no grid on this machine: " + "; ".join(str(each) for each in missing))
    grid = Grid(layout)
    try:
        grid.up(_ignore, detach=False)
        yield User(grid, before, LIMIT_S)
    finally:
        grid.purge()
    commands = (" ".join(process.info["cmdline"] or ()) for process in psutil.process_iter(["cmdline"]))
    assert [command for command in commands if str(layout.folder) in command] == []


def test_what_the_node_acknowledged_is_there_after_every_power_cut(user: User) -> None:
    dice = random.Random(SEED)

    async def work(client: GridClient) -> None:
        acknowledged: list[ContractId] = []
        for cut in range(CUTS):
            await _until(partial(_version, client))
            cutting = asyncio.create_task(_cut_after(user, dice.uniform(*CUT_AFTER_S)))
            while not (cutting.done() and cutting.exception()):
                try:
                    acknowledged.append(await _send(client, f"cut{cut}-{len(acknowledged)}"))
                except (ClientError, rmb.RmbError):
                    break
            pid = await cutting
            await _until(partial(_alive, user, pid))
            for contract in acknowledged:
                assert await _until(partial(_states, client, contract)) == {ResultState.OK}
        assert len(acknowledged) >= CUTS
        for contract in acknowledged:
            await client.chain.cancel_contract(client.key, contract)
        node = await client.node(NODE)
        await _until(lambda: _empty(node.deployment_list()))

    user.run(work)


def test_a_machine_inside_the_machine_answers_and_comes_back_with_its_data(user: User) -> None:
    file = deployment_file.parse(f"""
name: nested
networks: {{ inner: {{ range: 10.31.0.0/16 }} }}
workloads:
  - {{ name: front, type: publicip, node: {NODE} }}
  - {{ name: data, type: zmount, node: {NODE}, size: 64 MiB }}
  - {{ name: vm, type: zmachine, node: {NODE}, image: "{IMAGE}", memory: 256 MiB, network: inner, publicip: front,
       mounts: {{ data: /data }}, entrypoint: /sbin/zinit }}
""")

    async def work(client: GridClient) -> None:
        await _until(partial(_version, client))
        placed = await client.deploy(file, timeout=LIMIT_S)
        front = next(found for one in placed if one.deployment and (found := one.deployment.find("front")))
        result = front.load_result()
        assert isinstance(result, PublicIPResult)
        address = result.ip.partition("/")[0]
        await _answers(user, address)
        await _type(client, "echo kept > /data/stamp; sync; sync")

        pid = _cut(user)
        await _until(partial(_alive, user, pid))
        await _answers(user, address)
        assert "kept" in await _type(client, "cat /data/stamp")

        await client.cancel("nested")
        node = await client.node(NODE)
        await _until(lambda: _empty(node.deployment_list()))

    user.run(work)


async def _send(client: GridClient, name: str) -> ContractId:
    """Send a deployment of one disk; returns once the node has acknowledged it, whatever comes of it."""
    file = DeploymentFile.model_validate(
        {
            "name": name,
            "networks": {},
            "workloads": [{"name": "d", "type": "zmount", "node": NODE, "size": 64 * MIB}],
        }
    )
    plan = await client.plan(file)
    ((number, deployment),) = plan.deployments.items()
    contract = await client.chain.create_node_contract(
        client.key, NodeId(number), deployment.challenge_hash().hex(), plan.contract_data
    )
    signed = replace(deployment, contract_id=contract).sign(client.twin, client.key)
    try:
        await (await client.node(number)).deployment_deploy(signed)
    except BaseException:
        # Not acknowledged: the node may have it or not, and the contract is taken back.
        await client.chain.cancel_contract(client.key, contract)
        raise
    return contract


def _power(user: User) -> int | None:
    """Process of the node's machine, by its number outside the grid; None while there is none."""
    wanted = str(user.grid.layout.machines[0].folder / "monitor.sock")
    for process in psutil.process_iter(["name", "cmdline"]):
        words = process.info["cmdline"] or ()
        if str(process.info["name"]).startswith("qemu-system") and any(wanted in word for word in words):
            return int(process.pid)
    return None


def _cut(user: User) -> int:
    """Take the power away; whoever keeps the machine switches it on again."""
    pid = _power(user)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    return pid


async def _cut_after(user: User, delay: float) -> int:
    await asyncio.sleep(delay)
    return _cut(user)


async def _alive(user: User, before: int) -> int | None:
    """Process of the machine once it is another one than `before`."""
    pid = _power(user)
    return pid if pid != before else None


async def _version(client: GridClient) -> str | None:
    """The node's version, once it answers."""
    try:
        return str(await (await client.node(NODE)).system_version(timeout=20))
    except (ClientError, rmb.RmbError):
        return None


async def _states(client: GridClient, contract: ContractId) -> set[ResultState] | None:
    """States of a deployment's workloads, once none is pending and the node answers."""
    try:
        found = await (await client.node(NODE)).deployment_get(contract, timeout=20)
    except (ClientError, rmb.RmbError):
        return None
    states = {workload.result.state for workload in found.workloads}
    return states if states <= {ResultState.OK, ResultState.ERROR} else None


async def _answers(user: User, address: str) -> None:
    await asyncio.to_thread(
        user.exec, "inet", "sh", "-c", f"until ping -c1 -W2 {address}; do sleep 1; done", limit=LIMIT_S
    )


async def _type(client: GridClient, line: str) -> str:
    """What a shell on the machine's console answers, once there is one."""

    async def ask() -> str | None:
        try:
            async with asyncio.timeout(120):
                return await attach(client, "nested", "vm", line)
        except (ClientError, rmb.RmbError, OSError):
            return None

    return await _until(ask)


async def _empty(ask: Awaitable[Sequence[object]]) -> bool | None:
    try:
        return True if not await ask else None
    except (ClientError, rmb.RmbError):
        return None


async def _until(ask: Callable[[], Awaitable[T | None]]) -> T:
    async with asyncio.timeout(LIMIT_S):
        while (answer := await ask()) is None:
            await asyncio.sleep(1.0)
        return answer


def _ignore(progress: Progress) -> None:
    return None
