"""Deploy, update, cancel with real kernel objects, again and again: nothing is left and nothing grows."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from gridtypes import Deployment
from tests.faults import scope
from tests.faults.real_life import MIB, RealLife, with_a_peer
from tests.host.zosd.test_real_node import RealNode, guest, lab, prepared, real
from tests.shared import report_count
from tests.zosd.parts import deployment, network, public_ip, zmount

__all__ = ["lab", "real"]

pytestmark = pytest.mark.root

CYCLES = scope.count(50, 1000)
MACHINES = scope.count(3, 100)
LANES, MACHINE_LANES = 5, 3
"""Deployments at once; most of a cycle is waiting for others to object to a public address."""
WARM = 10
"""Cycles after which everything that is kept on purpose is there."""


FIRST_CONTRACT = 1000
"""Each cycle has a contract of its own, as no chain gives a number twice."""


def address(lane: int) -> tuple[str, str]:
    return f"185.206.122.{33 + lane}/24", "185.206.122.1"


def small(lane: int, contract: int, version: int) -> Deployment:
    net = network(f"net{lane}", port=6000 + lane, version=version)
    return deployment(
        with_a_peer(net) if version else net,
        zmount("disk1", (64 << version) * MIB, version=version),
        public_ip("ip1"),
        contract=contract,
        version=version,
    )


def with_a_machine(lane: int, contract: int) -> Deployment:
    net = f"net{lane}"
    parts = (network(net, port=6000 + lane), zmount("disk1", 64 * MIB), public_ip("ip1"), guest(net))
    return deployment(*parts, contract=contract)


@pytest.mark.timeout(3600 if scope.EVERY_ONE else 400)
async def test_cycles_leave_nothing(real: RealNode) -> None:
    """First network, zmount and ip; then a machine with all of them."""
    bus = await prepared(real)
    life = RealLife(real, bus)
    await life.start()
    empty = await life.empty()
    memory: list[int] = []
    descriptors: list[int] = []

    async def cycle(lane: int, number: int) -> None:
        contract = FIRST_CONTRACT + number
        for command, version in (("deploy", 0), ("update", 1)):
            wanted = small(lane, contract, version)
            await life.told(command, wanted, address(lane))
            await life.becomes(wanted)
        await life.cancel(contract)
        memory.append(_resident(real))
        descriptors.append(_descriptors(real))

    await side_by_side(cycle, CYCLES, LANES)
    assert await life.looks_like(empty) == ""
    # After it has warmed up it stays as large as it is; a cycle of another lane may have files open.
    assert memory[-1] < memory[len(memory) // 3] * 1.15 + (8 << 20), memory
    assert descriptors[-1] <= max(descriptors[:WARM]) + 4, descriptors
    report_count("cycles with network, zmount and ip", CYCLES)

    async def machine(lane: int, number: int) -> None:
        wanted = with_a_machine(lane, FIRST_CONTRACT + CYCLES + number)
        await life.told("deploy", wanted, address(lane))
        await life.becomes(wanted)
        await life.cancel(wanted.contract_id)

    await side_by_side(machine, MACHINES, MACHINE_LANES)
    assert await life.looks_like(empty) == ""
    assert real.qemu() == ""
    assert life.deaths == 0
    report_count("cycles with a machine", MACHINES)
    await bus.link.close()


async def side_by_side(cycle: Callable[[int, int], Awaitable[None]], times: int, lanes: int) -> None:
    """Do `cycle(lane, number)` so many times in all; each lane one after the other."""

    async def one(lane: int) -> None:
        for number in range(lane, times, lanes):
            await cycle(lane, number)

    async with asyncio.TaskGroup() as group:
        for lane in range(lanes):
            group.create_task(one(lane))


def _daemon(real: RealNode) -> Path:
    """`/proc` of the daemon itself."""
    assert real.process is not None
    children = Path(f"/proc/{real.process.pid}/task/{real.process.pid}/children").read_text().split()
    return Path("/proc") / (children[0] if children else str(real.process.pid))


def _resident(real: RealNode) -> int:
    """Bytes."""
    text = (_daemon(real) / "statm").read_text()
    return int(text.split()[1]) * os.sysconf("SC_PAGE_SIZE")


def _descriptors(real: RealNode) -> int:
    return len(list((_daemon(real) / "fd").iterdir()))
