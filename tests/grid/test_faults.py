"""What dies comes back, what runs goes on, and nothing is left over."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest

from client.console import talk
from client.grid_client import GridClient
from client.machine_console import machine_console
from client.placed import Placed
from devgrid.demo import Demo
from devgrid.launcher import Grid
from gridtypes import ResultState
from gridtypes.results import ZMachineResult
from tests.grid.conftest import User
from tests.grid.files import one_node, pair
from tests.grid.machine import Machine

pytestmark = [pytest.mark.root, pytest.mark.timeout(400)]

BACK_S = 60.0


def _part(grid: Grid, name: str) -> dict[str, object]:
    return next(part for part in grid.status()["parts"] if part["name"] == name)


def _wait_for_restart(grid: Grid, name: str, before: int) -> None:
    deadline = time.monotonic() + BACK_S
    while _part(grid, name)["restarts"] == before or _part(grid, name)["pid"] is None:
        assert time.monotonic() < deadline, f"{name} was not started again"
        time.sleep(0.05)


def _kill(grid: Grid, name: str) -> None:
    before = _part(grid, name)["restarts"]
    assert isinstance(before, int)
    grid.signal(name, "KILL")
    _wait_for_restart(grid, name, before)


def _result(placed: Sequence[Placed], name: str) -> ZMachineResult:
    found = [one for each in placed if each.deployment and (one := each.deployment.find(name))]
    result = found[0].load_result()
    assert isinstance(result, ZMachineResult)
    return result


async def _until_ok(client: GridClient, name: str) -> None:
    """Wait until every workload of a deployment is shown as ok."""
    deadline = time.monotonic() + BACK_S
    while True:
        placed = await client.find(name)
        states = {one.result.state for each in placed if each.deployment for one in each.deployment.workloads}
        if states == {ResultState.OK} and all(each.deployment for each in placed):
            return
        assert time.monotonic() < deadline, placed
        await asyncio.sleep(0.3)


@pytest.mark.parametrize("kind", ["network", "zmount", "ip", "zmachine"])
@pytest.mark.parametrize("moment", ["begin", "end"])
def test_a_kill_in_the_middle_of_an_install_converges(grid: Grid, user: User, kind: str, moment: str) -> None:
    config = grid.layout.members[0].folder / "zosd.toml"
    clean = config.read_text()
    config.write_text(f'{clean}\n[faults]\nkill_at = "{kind}.provision.{moment}"\n')
    _kill(grid, "node-1/zosd")
    before = _part(grid, "node-1/zosd")["restarts"]
    name = f"k{kind}{moment}"

    async def deploy(client: GridClient) -> None:
        task = asyncio.create_task(client.deploy(one_node(name)))
        while _part(grid, "node-1/zosd")["restarts"] == before:
            assert not task.done(), f"the point was never reached: {task}"
            await asyncio.sleep(0.05)
        config.write_text(clean)
        await task
        (placed,) = await client.find(name)
        assert placed.deployment is not None
        assert {one.result.state for one in placed.deployment.workloads} == {ResultState.OK}
        async with machine_console(client, name, "vm") as console:
            assert "ok" in await talk(console, "echo ok > /data/x && cat /data/x", limit=60)
        await client.cancel(name)

    try:
        user.run(deploy)
    finally:
        config.write_text(clean)
    assert user.left_over() == ""


def test_a_restart_of_zosd_loses_no_packet_and_touches_no_machine(grid: Grid, user: User) -> None:
    async def ping(client: GridClient) -> None:
        placed = await client.deploy(pair("steady"))
        demo = Demo(grid, client, pair("steady"))
        machines = demo.qemu()
        assert machines
        target = _result(placed, "vm2").ip
        async with machine_console(client, "steady", "vm1") as console:
            await talk(console, f"ping -c 2 {target}", limit=60)  # the tunnel is up
            await talk(console, f"{{ ping -q -c 300 -i 0.1 {target} > /tmp/ping 2>&1 & }}")
        for part in ("node-1/zosd", "node-2/zosd"):
            await asyncio.to_thread(_kill, grid, part)
        await _until_ok(client, "steady")
        # The console's server is part of zosd, the shell behind it is the machine's: it still knows its child.
        async with machine_console(client, "steady", "vm1") as console:
            shown = await talk(console, "wait; cat /tmp/ping", limit=100)
        assert "300 packets transmitted, 300 packets received, 0% packet loss" in shown, shown
        assert demo.qemu() == machines
        await client.cancel("steady")

    user.run(ping)
    assert user.left_over() == ""


def test_chain_and_peers_may_be_killed_and_come_back(grid: Grid, user: User) -> None:
    async def use(client: GridClient) -> None:
        await client.deploy(one_node("before", machine=False))
        for part in ("chain", "node-1/bus", "client/bus"):
            await asyncio.to_thread(_kill, grid, part)
        await client.deploy(one_node("after", node=2, machine=False))
        (placed,) = await client.find("before")
        assert placed.deployment is not None
        assert all(one.result.state is ResultState.OK for one in placed.deployment.workloads)
        for name in ("before", "after"):
            await client.cancel(name)

    user.run(use)
    assert user.left_over() == ""


def test_a_grid_that_was_down_resumes_with_machines_and_data(grid: Grid, user: User) -> None:
    async def write(client: GridClient) -> None:
        await client.deploy(one_node("lasting"))
        async with machine_console(client, "lasting", "vm") as console:
            shown = await talk(console, "echo kept > /data/file && sync && cat /data/file", limit=100)
        assert "kept" in shown

    async def read(client: GridClient) -> str:
        await _until_ok(client, "lasting")
        async with machine_console(client, "lasting", "vm") as console:
            shown = await talk(console, "cat /data/file", limit=100)
        await client.cancel("lasting")
        return shown

    user.run(write)
    grid.down()
    grid.up(lambda progress: None, detach=False)
    assert "kept" in user.run(read)
    assert user.left_over() == ""


def test_a_killed_supervisor_leaves_nothing_and_its_grid_comes_back(grid: Grid, user: User) -> None:
    async def deploy(client: GridClient) -> None:
        await client.deploy(one_node("orphan"))

    async def cancel(client: GridClient) -> None:
        await _until_ok(client, "orphan")
        await client.cancel("orphan")

    user.run(deploy)
    mark = grid.supervisor
    assert mark is not None
    mark.kill()
    assert mark.wait(BACK_S)
    deadline = time.monotonic() + BACK_S
    while left := Machine.now().left_since(user.before):
        assert time.monotonic() < deadline, left
        time.sleep(0.2)
    grid.up(lambda progress: None, detach=False)
    user.run(cancel)
    assert user.left_over() == ""
