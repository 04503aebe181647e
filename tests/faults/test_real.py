"""The same with real kernel objects: a node in namespaces of its own, killed at points of its four real types.

The points are recorded in a life that nobody disturbs.  `FAULTS=all` takes every one; otherwise `FAULTS_SEED` chooses.
"""

from __future__ import annotations

import asyncio
import os
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.faults.real_machine import differs, snapshot
from tests.host.zosd.test_real_node import (
    RealNode,
    lab,
    prepared,
    real,
    wanted,
)
from tests.shared import report_count
from tests.zosd.parts import deployment, network, public_ip, zmount
from tests.zosd.test_process import Bus

__all__ = ["lab", "real"]

pytestmark = pytest.mark.root

SEED = int(os.environ.get("FAULTS_SEED", "1"))
EVERY_ONE = os.environ.get("FAULTS") == "all"
IN_A_RUN = 5
TYPES = ("zmount", "network", "ip", "zmachine")
CONTRACT = 1000
LIMIT_S = 90.0


class Died(Exception):
    """The daemon ended before it answered."""


class Life:
    """A client that tells the node again whatever was not acknowledged, and somebody who starts it again."""

    def __init__(self, real: RealNode, bus: Bus) -> None:
        self.real, self.bus = real, bus
        real.chain["follow"] = True
        real.write_chain()

    async def start(self, **faults: str) -> None:
        await self.bus.link.command("FLUSHALL")
        self.real.start(**faults)
        await self.alive()

    async def alive(self) -> None:
        """Serving; a daemon that died is started again, without a fault."""

        async def there() -> bool:
            if self.real.died():
                if self.real.process is not None:
                    self.real.process.wait(10)
                await self.bus.link.command("FLUSHALL")
                self.real.start()
            return bool(await self.bus.link.command("EXISTS", "msgbus.router.zos"))

        await self._until(there)

    async def ask(self, command: str, payload: object = None, raw: bytes | None = None) -> Any:
        """The answer.  Raises Died when the daemon does not live to give it."""
        await self.alive()
        call = asyncio.ensure_future(self.bus.call(command, payload, raw=raw))
        try:
            while not (await asyncio.wait({call}, timeout=0.05))[0]:
                if self.real.died():
                    raise Died
            return call.result()
        finally:
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)

    async def told(self, command: str, raw: bytes) -> None:
        """Tell until it is acknowledged."""
        while True:
            try:
                await self.ask(command, raw=raw)
                return
            except Died:
                continue

    async def all_are(self, state: str) -> None:
        async def good() -> bool:
            try:
                shown = await self.ask("zos.deployment.get", {"contract_id": CONTRACT})
            except Died:
                return False
            return {one["result"]["state"] for one in shown["workloads"]} == {state}

        await self._until(good)

    async def is_gone(self) -> None:
        async def gone() -> bool:
            try:
                return bool(await self.ask("zos.deployment.list") == [])
            except Died:
                return False

        await self._until(gone)

    async def _until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not await condition():
            assert time.monotonic() < deadline, self.real.log()
            await asyncio.sleep(0.05)

    async def looks_like(self, expected: dict[str, Any]) -> str:
        """What is still not as expected after a while; the node looks at its LAN every few seconds."""
        deadline = time.monotonic() + LIMIT_S / 2
        while text := differs(expected, snapshot(self.real)):
            if time.monotonic() > deadline:
                return text
            await asyncio.sleep(0.5)
        return ""

    async def empty(self) -> dict[str, Any]:
        """How the machine looks without deployments, once the LAN's router has been heard."""

        async def heard() -> bool:
            return "@closed6 accept" in self.real.node.sh("ip netns exec ndmz nft list ruleset", check=False)

        await self._until(heard)
        return snapshot(self.real)

    async def whole(self, expected: dict[str, Any] | None = None) -> dict[str, Any]:
        """Install, grace, resumption, end; returns how the machine looked while it ran, which has to be as expected."""
        deploy = wanted(CONTRACT)
        self.real.sign_up(deploy)
        await self.told("zos.deployment.deploy", deploy.to_json())
        await self.all_are("ok")
        if expected is not None:
            assert await self.looks_like(expected) == ""
        running = snapshot(self.real)
        for grace, state in ((True, "paused"), (False, "ok")):
            self.real.chain["contracts"][str(CONTRACT)]["grace"] = grace
            self.real.write_chain()
            await self.all_are(state)
        del self.real.chain["contracts"][str(CONTRACT)]
        self.real.write_chain()
        await self.is_gone()
        return running


@pytest.fixture
def record(tmp_path: Path) -> Path:
    return tmp_path / "points"


def numbered(record: Path) -> list[str]:
    count: Counter[str] = Counter()
    found = []
    for point in record.read_text().split():
        count[point] += 1
        if point.split(".")[0] in TYPES and point.split(".")[1] != "inventory":
            found.append(f"{point}#{count[point]}")
    return found


@pytest.mark.timeout(3000 if EVERY_ONE else 600)
async def test_killed_at_a_point_of_a_real_type(real: RealNode, record: Path) -> None:
    bus = await prepared(real)
    life = Life(real, bus)
    await life.start(record=str(record))
    empty = await life.empty()
    running = await life.whole()
    assert await life.looks_like(empty) == ""
    points = numbered(record)
    assert {point.split(".")[0] for point in points} == set(TYPES)
    if not EVERY_ONE:
        chance = random.Random(SEED)
        chosen = [chance.choice([one for one in points if one.startswith(f"{type}.")]) for type in TYPES]
        points = [*chosen, chance.choice(points)][:IN_A_RUN]
    for point in points:
        real.stop()
        await life.start(kill_at=point)
        print(point)  # shown when it fails
        await life.whole(running)
        assert await life.looks_like(empty) == "", point
    report_count("kill points, real types", len(points))
    await bus.link.close()


def _light(version: int, size: int) -> Any:
    return deployment(
        network("net1"),
        zmount("disk1", size, version=version),
        public_ip("ip1"),
        contract=CONTRACT,
        version=version,
    )


@pytest.mark.timeout(3000 if EVERY_ONE else 400)
async def test_cycles_leave_nothing(real: RealNode) -> None:
    """Deploy, update, cancel with network, zmount and ip; then with a machine.  Nothing grows."""
    bus = await prepared(real)
    life = Life(real, bus)
    await life.start()
    empty = await life.empty()
    memory = []
    for cycle in range(1000 if EVERY_ONE else 50):
        first, second = _light(0, 64 << 20), _light(1, 128 << 20)
        for command, told in (("deploy", first), ("update", second)):
            real.sign_up(told)
            await life.told(f"zos.deployment.{command}", told.to_json())
            await life.all_are("ok")
        del real.chain["contracts"][str(CONTRACT)]
        real.write_chain()
        await life.is_gone()
        memory.append(_resident(real))
        if cycle == 4:
            descriptors = _descriptors(real)
    assert _descriptors(real) <= descriptors + 4
    assert await life.looks_like(empty) == ""
    # After it has warmed up it stays as large as it is.
    assert memory[-1] < memory[len(memory) // 3] * 1.15 + (8 << 20), memory
    machines = 100 if EVERY_ONE else 3
    for _ in range(machines):
        deploy = wanted(CONTRACT)
        real.sign_up(deploy)
        await life.told("zos.deployment.deploy", deploy.to_json())
        await life.all_are("ok")
        del real.chain["contracts"][str(CONTRACT)]
        real.write_chain()
        await life.is_gone()
    assert await life.looks_like(empty) == ""
    assert real.qemu() == ""
    report_count("cycles with network, zmount and ip", len(memory))
    report_count("cycles with a machine", machines)
    await bus.link.close()


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
