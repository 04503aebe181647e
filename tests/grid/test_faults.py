"""What dies comes back, what runs goes on, and nothing is left over."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from client.console import talk
from client.grid_client import GridClient
from client.machine_console import machine_console
from devgrid.demo import Demo
from devgrid.launcher import Grid
from gridtypes import ResultState
from tests.grid.conftest import User
from tests.grid.files import one_node, pair

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


def _left_over(grid: Grid) -> str:
    demo = Demo(grid, None, None)  # type: ignore[arg-type]  # only asks the nodes
    deadline = time.monotonic() + BACK_S
    while (left := demo.left_over()) and time.monotonic() < deadline:
        time.sleep(0.3)
    return left


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
    assert _left_over(grid) == ""


def test_a_restart_of_zosd_loses_no_packet_and_touches_no_machine(grid: Grid, user: User) -> None:
    async def ping(client: GridClient) -> None:
        await client.deploy(pair("steady"))
        demo = Demo(grid, client, pair("steady"))
        machines = demo.qemu()
        async with machine_console(client, "steady", "vm1") as console:
            address = (await client.find("steady"))[1].deployment
            assert address is not None
            target = address.find("vm2")
            assert target is not None
            ip = target.load_result().ip  # type: ignore[union-attr]
            await talk(console, f"ping -c 2 {ip}", limit=60)  # the tunnel is up
            pinging = asyncio.create_task(talk(console, f"ping -q -c 100 -i 0.1 {ip}", limit=60))
            await asyncio.sleep(1.0)
            for part in ("node-1/zosd", "node-2/zosd"):
                await asyncio.to_thread(_kill, grid, part)
            shown = await pinging
        assert "100 packets transmitted, 100 packets received, 0% packet loss" in shown, shown
        assert demo.qemu() == machines
        await client.cancel("steady")

    user.run(ping)
    assert _left_over(grid) == ""


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
    assert _left_over(grid) == ""


def test_a_grid_that_was_down_resumes_with_machines_and_data(grid: Grid, user: User) -> None:
    async def write(client: GridClient) -> None:
        await client.deploy(one_node("lasting"))
        async with machine_console(client, "lasting", "vm") as console:
            await talk(console, "echo kept > /data/file; sync", limit=60)

    async def read(client: GridClient) -> str:
        deadline = time.monotonic() + BACK_S
        while True:
            (placed,) = await client.find("lasting")
            states = {one.result.state for one in placed.deployment.workloads} if placed.deployment else set()
            if states == {ResultState.OK}:
                break
            assert time.monotonic() < deadline, placed
            await asyncio.sleep(0.3)
        async with machine_console(client, "lasting", "vm") as console:
            shown = await talk(console, "cat /data/file", limit=60)
        await client.cancel("lasting")
        return shown

    user.run(write)
    grid.down()
    assert not Path(f"/proc/{grid.layout.pid_file}").exists()
    grid.up(lambda progress: None, detach=False)
    assert "kept" in user.run(read)
    assert _left_over(grid) == ""
