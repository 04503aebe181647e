"""One grid for the tests of this folder, and a way to be its user.

The user's programs live in the grid's client namespace; a test enters it in a thread of its own, so that the test
process stays where it is.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

import rmb
from client.grid_client import GridClient
from client.namespace import enter
from client.node_client import NodeClient
from devgrid import preflight
from devgrid.demo import Demo
from devgrid.launcher import Grid
from devgrid.layout import GridLayout
from devgrid.startup import Progress
from tests.grid.machine import Machine
from tfchain import Chain
from tfchain.keys import Identity

T = TypeVar("T")
LIMIT_S = 120.0


class User:
    """The grid's user: runs coroutines with a client of his, in his namespace."""

    def __init__(self, grid: Grid, before: Machine, limit: float = LIMIT_S) -> None:
        self.grid = grid
        self.limit = limit
        """Seconds of one session."""
        self.before = before
        """The machine as it was without a grid."""

    def run(self, work: Callable[[GridClient], Awaitable[T]]) -> T:
        """The result of `work`; its exception is raised here."""
        box: dict[str, Any] = {}

        def inside() -> None:
            try:
                enter(str(self.grid.host_path(Path("/run/netns/client"))))
                box["result"] = asyncio.run(self._session(work))
            except BaseException as problem:
                box["problem"] = problem

        thread = threading.Thread(target=inside)
        thread.start()
        thread.join()
        if "problem" in box:
            raise box["problem"]
        result: T = box["result"]
        return result

    async def _session(self, work: Callable[[GridClient], Awaitable[T]]) -> T:
        layout = self.grid.layout
        bus = await rmb.connect(f"unix://{self.grid.host_path(layout.client_redis)}")
        twin = self.grid.status()["twins"]["user"]
        key = Identity.load(layout.user_key)
        async with (
            GridClient(Chain([layout.chain_url]), bus, twin, key) as client,
            asyncio.timeout(self.limit),
        ):
            return await work(client)

    def clear(self) -> None:
        """Cancel whatever a test left, so that the next one finds the nodes empty."""

        async def cancel(client: GridClient) -> None:
            for contract in await client.contracts():
                await client.chain.cancel_contract(client.key, contract.contract_id)
            for number in self.grid.status()["nodes"]:
                await gone_from(await client.node(number["id"]))

        self.run(cancel)
        assert self.left_over() == ""

    def left_over(self) -> str:
        """What deployments have left on the nodes, once they had time to remove it; empty when nothing."""
        demo = Demo(self.grid, None, None)  # type: ignore[arg-type]  # only asks the nodes
        deadline = time.monotonic() + LIMIT_S
        while (left := demo.left_over()) and time.monotonic() < deadline:
            time.sleep(0.3)
        return left

    def exec(self, place: str, *command: str, limit: float = 60.0) -> str:
        """What a command prints in a node, the internet or the grid; fails the test when it fails."""
        request = {"do": "exec", "node": place, "command": list(command), "limit": limit}
        answer = self.grid.call(request, timeout=limit + 10)
        assert answer["status"] == 0, f"`{' '.join(command)}` in {place}: {answer['output']}"
        return str(answer["output"])


async def gone_from(node: NodeClient) -> None:
    """Wait until a node has nothing of the user."""
    async with asyncio.timeout(LIMIT_S):
        while await node.deployment_list():
            await asyncio.sleep(0.1)


def _ignore(progress: Progress) -> None:
    return None


@pytest.fixture(scope="session")
def machine_before() -> Machine:
    """The machine as it was before there was a grid."""
    return Machine.now()


@pytest.fixture(scope="session")
def grid(tmp_path_factory: pytest.TempPathFactory, machine_before: Machine) -> Iterator[Grid]:
    """A grid of two nodes.  When it is gone, the machine is as before."""
    layout = GridLayout(tmp_path_factory.mktemp("grid"), "test", 2)
    if missing := preflight.check(layout):
        pytest.skip("no grid on this machine: " + "; ".join(str(each) for each in missing))
    grid = Grid(layout)
    try:
        grid.up(_ignore, detach=False)
        yield grid
    finally:
        grid.purge()
    assert Machine.now().left_since(machine_before) == {}


@pytest.fixture
def user(grid: Grid, machine_before: Machine) -> Iterator[User]:
    """The grid's user, who has nothing deployed; what he leaves is cancelled."""
    found = User(grid, machine_before)
    yield found
    found.clear()
