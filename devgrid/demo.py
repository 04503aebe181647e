"""`make demo`: a grid of two nodes, a deployment over both, and proof that it does what it says.

Ends with `demo ok` and status 0, or with what failed.  Nothing is left behind.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

import rmb
from client import deployment_file
from client.console import talk
from client.deployment_file import DeploymentFile
from client.errors import ClientError
from client.grid_client import Event, GridClient, Placed
from client.machine_console import machine_console
from client.namespace import enter
from devgrid.cli import bring_up
from devgrid.launcher import Grid, GridError
from devgrid.layout import DEFAULT_STATE, GridLayout
from gridtypes import ContractId, NodeId, ResultState, WorkloadType
from gridtypes.results import PublicIPResult, ZMachineResult
from tfchain import Chain, ChainError, ChainUnavailable
from tfchain.keys import Identity

EXAMPLE = Path(__file__).resolve().parent.parent / "docs/examples/two-nodes.yaml"
STATE = Path(os.environ.get("ZOS_GRID_STATE", DEFAULT_STATE))
GONE_LIMIT_S = 60.0
BACK_LIMIT_S = 120.0

out = Console(highlight=False)


class DemoFailed(Exception):
    """Something is not as it should be; the message says what."""


def expect(condition: bool, reason: str) -> None:
    if not condition:
        raise DemoFailed(reason)


class Demo:
    """The steps, on a grid that is up."""

    def __init__(self, grid: Grid, client: GridClient, file: DeploymentFile) -> None:
        self.grid = grid
        self.client = client
        self.file = file
        self.placed: list[Placed] = []

    async def run(self) -> None:
        """Raises DemoFailed, or what the client raises."""
        for title, step in (
            ("deploy over both nodes", self.deploy),
            ("vm1 reaches vm2 by its private address, through WireGuard", self.reach),
            ("the public address answers from the internet", self.public),
            ("a file outlives the machine: written, machine killed, machine back", self.survive),
            ("a tampered deployment is refused", self.tamper),
            ("cancel removes everything", self.cancel),
        ):
            await self._step(title, step)

    async def _step(self, title: str, step: Callable[[], Awaitable[str]]) -> None:
        started = time.monotonic()
        out.print(f"[bold]• {title}[/]")
        detail = await step()
        for line in detail.splitlines():
            out.print(f"    {line}", markup=False, soft_wrap=True)
        out.print(f"    [green]✓[/] [dim]{time.monotonic() - started:.1f} s[/]")

    # -- steps ------------------------------------------------------------------------------------------------

    async def deploy(self) -> str:
        lines: list[str] = []

        def report(event: Event) -> None:
            if event.kind == "contract":
                lines.append(f"contract {event.contract} on node {event.node} holds hash {event.hash}")
            elif event.kind == "accepted":
                lines.append(f"node {event.node} accepted the deployment of contract {event.contract}")

        self.placed = await self.client.deploy(self.file, report)
        for placed in self.placed:
            for workload in placed.deployment.workloads if placed.deployment else ():
                lines.append(
                    f"node {placed.node}  {workload.type.value:9} {workload.name:6} {workload.result.state.value}"
                )
        return "\n".join(lines)

    async def reach(self) -> str:
        target = self.machine("vm2").ip
        shown = await self.type("vm1", f"ping -c 3 -W 2 {target}")
        expect(" 0% packet loss" in shown, f"vm1 does not reach vm2: {shown}")
        return next(line for line in shown.splitlines() if "seq=0" in line)

    async def public(self) -> str:
        address = self.address()
        script = (
            f"import urllib.request as u; print(u.urlopen('http://{address}/', timeout=10).read().decode())"
        )
        answer = self.exec("inet", sys.executable, "-c", script)
        expect(answer["status"] == 0 and "vm1" in answer["output"], f"{address}: {answer['output'][-300:]}")
        return f"http://{address}/ says: {answer['output'].strip().rpartition('<p>')[2]}"

    async def survive(self) -> str:
        stamp = str(time.time_ns())
        await self.type("vm1", f"echo {stamp} > /data/stamp; sync")
        before = self.qemu()
        expect(len(before) == 1, f"node-1 runs {len(before)} machines instead of one")
        self.exec("node-1", "kill", "-9", *before)
        deadline = time.monotonic() + BACK_LIMIT_S
        while not (now := self.qemu()) or now == before:
            expect(time.monotonic() < deadline, "the killed machine did not come back")
            await asyncio.sleep(0.3)
        while True:
            try:
                shown = await self.type("vm1", "cat /data/stamp")
                break
            except ClientError:
                expect(time.monotonic() < deadline, "the machine came back, its console did not")
                await asyncio.sleep(0.5)
        expect(stamp in shown, f"the file is gone: {shown}")
        return f"QEMU {before[0]} was killed, {now[0]} runs now, /data/stamp holds {stamp}"

    async def tamper(self) -> str:
        file = self.file.model_copy(update={"name": "tampered"})
        plan = await self.client.plan(_only(file, "data1"))
        ((node, deployment),) = plan.deployments.items()
        contract = await self.client.chain.create_node_contract(
            self.client.key, NodeId(node), deployment.challenge_hash().hex(), plan.contract_data
        )
        try:
            changed = replace(
                deployment, contract_id=contract, description="changed after the contract was made"
            )
            try:
                await (await self.client.node(node)).deployment_deploy(
                    changed.sign(self.client.twin, self.client.key)
                )
            except rmb.RemoteError as refusal:
                return f"node {node} says: {refusal}"
            raise DemoFailed("the node accepted a deployment whose hash is not that of its contract")
        finally:
            await self.client.chain.cancel_contract(self.client.key, contract)

    async def cancel(self) -> str:
        gone = await self.client.cancel(self.file.name)
        deadline = time.monotonic() + GONE_LIMIT_S
        while left := self.left_over():
            expect(time.monotonic() < deadline, f"still there after {GONE_LIMIT_S:.0f} s: {left}")
            await asyncio.sleep(0.5)
        return (
            f"contracts {_list(gone)} cancelled; no machine, network, disk or address is left on either node"
        )

    # -- small things -----------------------------------------------------------------------------------------

    def machine(self, name: str) -> ZMachineResult:
        result = self._result(WorkloadType.ZMACHINE, name)
        assert isinstance(result, ZMachineResult)
        return result

    def address(self) -> str:
        result = self._result(WorkloadType.IP, "front")
        assert isinstance(result, PublicIPResult)
        return result.ip.partition("/")[0]

    def _result(self, kind: WorkloadType, name: str) -> object:
        for placed in self.placed:
            for workload in placed.deployment.workloads if placed.deployment else ():
                if workload.type is kind and workload.name == name:
                    expect(workload.result.state is ResultState.OK, f"{name}: {workload.result.message}")
                    return workload.load_result()
        raise DemoFailed(f"the example has no {kind.value} {name}")

    async def type(self, machine: str, line: str) -> str:
        async with machine_console(self.client, self.file.name, machine) as connection:
            return await talk(connection, line)

    def exec(self, place: str, *command: str) -> dict[str, Any]:
        answer = self.grid.call({"do": "exec", "node": place, "command": list(command)})
        assert isinstance(answer, dict)
        return answer

    def qemu(self) -> list[str]:
        """Pids of the machines of node-1, as that node sees them."""
        shown = str(self.exec("node-1", "sh", "-c", _LIST_QEMU)["output"])
        return shown.split()

    def left_over(self) -> str:
        """What two nodes still have of the deployment."""
        names = (node.name for node in self.grid.layout.members)
        return " ".join(
            str(self.exec(name, "sh", "-c", _LIST_LEFT)["output"]).strip() for name in names
        ).strip()


_LIST_QEMU = """
for group in /sys/fs/cgroup/memory/zos/* /sys/fs/cgroup/zos/*; do
  [ -d "$group" ] || continue
  for pid in $(cat "$group/cgroup.procs"); do
    tr '\\0' ' ' < /proc/$pid/cmdline | grep -q '^qemu-system' && echo $pid
  done
done
exit 0
"""
"""Machines are found by their control groups, which are the node's own."""

_LIST_LEFT = """
ip -o link | sed -n 's/^[0-9]*: \\([bhtpw]-[^:@]*\\).*/\\1/p' | grep -v '^p-tozos$'
ip netns list | sed -n 's/^\\(n-[^ ]*\\).*/\\1/p'
ls /sys/fs/cgroup/memory/zos /sys/fs/cgroup/zos 2>/dev/null | grep -E '^[0-9]+-[0-9]+-'
exit 0
"""


def _only(file: DeploymentFile, name: str) -> DeploymentFile:
    """The file with one workload alone."""
    kept = [workload for workload in file.workloads if workload.name == name]
    labels = {str(workload.node): file.nodes[str(workload.node)] for workload in kept}
    return file.model_copy(update={"workloads": kept, "networks": {}, "nodes": labels})


def _list(contracts: list[ContractId]) -> str:
    return ", ".join(str(contract) for contract in contracts)


async def _client(grid: Grid) -> GridClient:
    layout = grid.layout
    bus = await rmb.connect(f"unix://{grid.host_path(layout.client_redis)}")
    twin = grid.status()["twins"]["user"]
    return GridClient(Chain([layout.chain_url]), bus, twin, Identity.load(layout.user_key))


async def _show(grid: Grid) -> None:
    async with await _client(grid) as client:
        await Demo(grid, client, deployment_file.load(EXAMPLE)).run()


def main() -> int:
    """0 when everything was as it should be."""
    grid = Grid(GridLayout(STATE, "demo", 2))
    started = time.monotonic()
    out.print("[bold]• bring up a grid: chain, bus, two nodes[/]")
    try:
        if not grid.running:
            grid.purge()
        bring_up(grid, detach=False)
        enter(str(grid.host_path(Path("/run/netns/client"))))
        asyncio.run(_show(grid))
    except (
        DemoFailed,
        GridError,
        ClientError,
        ChainError,
        ChainUnavailable,
        rmb.RmbError,
        OSError,
    ) as problem:
        print(f"demo failed: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("demo failed: interrupted", file=sys.stderr)
        return 1
    finally:
        grid.purge()
    out.print(f"[bold green]demo ok[/] [dim]{time.monotonic() - started:.0f} s[/]")
    return 0


if __name__ == "__main__":
    sys.exit(main())
