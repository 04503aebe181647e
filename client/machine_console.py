"""`zos console`: from a deployment's name to a terminal on one of its machines."""

from __future__ import annotations

import asyncio
import contextlib
import os
import sys
import termios
import tty
from collections.abc import AsyncIterator, Iterator

import aiohttp

from client import tunnel
from client.console import open_console, talk
from client.errors import ClientError, NotFound
from client.grid_client import GridClient
from client.placed import Placed
from client.survey import host_of
from client.tunnel import Tunnel
from client.wireguard_key import WireGuardKey
from gridtypes import Workload, WorkloadType
from gridtypes.results import ZMachineResult
from gridtypes.workloads import Network, ZMachine

LEAVE = b"\x1d"
"""Ctrl-]."""
READ_SIZE = 1024


async def attach(grid: GridClient, name: str, machine: str, line: str = "") -> str:
    """Connect this terminal to the machine's console until Ctrl-], or type `line` and return what it shows.

    Raises NotFound, ClientError.
    """
    async with machine_console(grid, name, machine) as connection:
        if line:
            return await talk(connection, line)
        await _terminal(connection)
        return ""


@contextlib.asynccontextmanager
async def machine_console(
    grid: GridClient, name: str, machine: str
) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    """The console of a machine, over a tunnel into its network."""
    placed = await grid.find(name)
    found, workload = _machine(placed, machine)
    result = workload.load_result()
    if not isinstance(result, ZMachineResult) or not result.console_url:
        raise ClientError(
            f"{machine} has no console yet: {workload.result.message or workload.result.state.value}"
        )
    async with network_tunnel(grid, placed, found, workload) as opened:
        async with open_console(result.console_url, opened) as connection:
            yield connection


@contextlib.asynccontextmanager
async def network_tunnel(
    grid: GridClient, placed: list[Placed], found: Placed, machine: Workload
) -> AsyncIterator[Tunnel]:
    """A tunnel into the network of a machine."""
    data = machine.load()
    assert isinstance(data, ZMachine)
    wanted = str(data.network.interfaces[0].network)
    parts: list[tuple[Network, str]] = []
    own: Network | None = None
    for one in placed:
        network = one.deployment.find(wanted) if one.deployment else None
        part = network.load() if network and network.type is WorkloadType.NETWORK else None
        if isinstance(part, Network):
            parts.append((part, await host_of(await grid.node(one.node))))
            own = part if one is found else own
    if own is None:
        raise ClientError(
            f"network {wanted!r} is not part of this deployment; its console is reachable inside it"
        )
    key = WireGuardKey.of_user(grid.key, wanted)
    async with tunnel.open_tunnel(tunnel.plan(own, key, parts)) as opened:
        yield opened


def _machine(placed: list[Placed], name: str) -> tuple[Placed, Workload]:
    machines: list[str] = []
    for one in placed:
        for workload in one.deployment.workloads if one.deployment else ():
            if workload.type is WorkloadType.ZMACHINE:
                if workload.name == name:
                    return one, workload
                machines.append(str(workload.name))
    raise NotFound(f"no machine {name!r} in this deployment; there are: {', '.join(machines) or 'none'}")


async def _terminal(connection: aiohttp.ClientWebSocketResponse) -> None:
    loop = asyncio.get_running_loop()
    done = asyncio.Event()
    typed: asyncio.Queue[bytes] = asyncio.Queue()

    def read() -> None:
        data = os.read(sys.stdin.fileno(), READ_SIZE)
        if not data or LEAVE in data:
            done.set()
        else:
            typed.put_nowait(data)

    async def show() -> None:
        async for message in connection:
            data = message.data if isinstance(message.data, bytes) else str(message.data).encode()
            sys.stdout.buffer.write(data)
            sys.stdout.buffer.flush()
        done.set()

    async def send() -> None:
        while True:
            await connection.send_bytes(await typed.get())

    print("Ctrl-] leaves the console\r", file=sys.stderr)
    with _raw_terminal():
        loop.add_reader(sys.stdin.fileno(), read)
        tasks = [asyncio.create_task(show()), asyncio.create_task(send())]
        try:
            await done.wait()
        finally:
            loop.remove_reader(sys.stdin.fileno())
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


@contextlib.contextmanager
def _raw_terminal() -> Iterator[None]:
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setraw(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)
