"""A client of a real node that dies: whatever was not acknowledged is told again, and the daemon is started again."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from gridtypes import Deployment, Workload
from tests.faults.real_machine import differs, snapshot
from tests.host.zosd.test_real_node import ADDRESS, RealNode, wanted
from tests.zosd.parts import deployment, network, zmount
from tests.zosd.test_process import Bus

TYPES = ("zmount", "network", "ip", "zmachine")
CONTRACT = 1000
LIMIT_S = 120.0
MIB = 1 << 20


class Died(Exception):
    """The daemon ended before it answered."""


class RealLife:
    def __init__(self, real: RealNode, bus: Bus) -> None:
        self.real, self.bus = real, bus
        self.deaths = 0
        """How often the daemon ended by itself or by a kill point."""
        self.later: list[str] = []
        """Points at which those are killed that are started after a death, one each."""
        self._kill_at = ""
        self._asking = asyncio.Lock()
        """One call at a time: answers come in one list."""
        real.chain["follow"] = True
        real.write_chain()

    async def start(self, **faults: str) -> None:
        """Start the daemon; one that runs ends first, in good order, and hands on a kill that it did not come to."""
        if not self.real.died():
            self.real.stop()
        await self.bus.link.command("FLUSHALL")
        self._kill_at = faults.pop("kill_at", self._kill_at)
        self.real.start(**faults, **self._faults())
        await self.alive()

    def _faults(self) -> dict[str, str]:
        return {"kill_at": self._kill_at} if self._kill_at else {}

    async def alive(self) -> None:
        """Until it serves; a daemon that died is started again."""

        async def there() -> bool:
            if self.real.died():
                self.deaths += 1
                if self.real.process is not None:
                    self.real.process.wait(10)
                await self.bus.link.command("FLUSHALL")
                self._kill_at = self.later.pop(0) if self.later else ""
                self.real.start(**self._faults())
            return bool(await self.bus.link.command("EXISTS", "msgbus.router.zos"))

        await self._until(there)

    async def ask(self, command: str, payload: object = None, raw: bytes | None = None) -> Any:
        """The answer.  Raises Died when the daemon does not live to give it."""
        async with self._asking:
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

    async def told(self, command: str, deployment: Deployment, address: tuple[str, str] = ADDRESS) -> None:
        """Make or change the contract, and tell the node until it acknowledges."""
        self.real.sign_up(deployment, address)
        while True:
            try:
                await self.ask(f"zos.deployment.{command}", raw=deployment.to_json())
                return
            except Died:
                continue

    async def becomes(self, deployment: Deployment, state: str = "ok") -> None:
        """Until the node shows every workload of it, in its version and this state, and nothing else."""
        expected = {(one.name, one.version, state) for one in deployment.workloads}

        async def good() -> bool:
            try:
                shown = await self.ask("zos.deployment.get", {"contract_id": deployment.contract_id})
            except Died:
                return False
            found = {(one["name"], one["version"], one["result"]["state"]) for one in shown["workloads"]}
            return found == expected

        await self._until(good)

    def grace(self, begins: bool) -> None:
        self.real.chain["contracts"][str(CONTRACT)]["grace"] = begins
        self.real.write_chain()

    async def cancel(self, contract: int = CONTRACT) -> None:
        """End the contract, until nothing of it is here."""
        del self.real.chain["contracts"][str(contract)]
        self.real.write_chain()

        async def gone() -> bool:
            try:
                await self.ask("zos.deployment.get", {"contract_id": contract})
            except Died:
                return False
            except RuntimeError as refusal:
                return str(refusal) == "deployment not found"
            return False

        await self._until(gone)

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

    async def whole(
        self, faults: Sequence[Mapping[str, str]], expected: Sequence[dict[str, Any]] = ()
    ) -> list[dict[str, Any]]:
        """Install and update; after a restart grace, resumption, end.  `faults`: of the first life and of the second.

        Returns how the machine looked in the first and in the second version, which has to be as expected.
        """
        await self.start(**{"kill_at": "", **faults[0]})
        looks = []
        for number, (command, version) in enumerate((("deploy", first()), ("update", second()))):
            await self.told(command, version)
            await self.becomes(version)
            if expected:
                assert await self.looks_like(expected[number]) == "", f"version {number}"
            else:
                looks.append(snapshot(self.real))
        await self.start(**faults[1])
        await self.becomes(second())
        for begins, state in ((True, "paused"), (False, "ok")):
            self.grace(begins)
            await self.becomes(second(), state)
        await self.cancel()
        return looks

    async def _until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        deadline = time.monotonic() + LIMIT_S
        while not await condition():
            assert time.monotonic() < deadline, self.real.log()[-20_000:]
            await asyncio.sleep(0.05)


def first() -> Deployment:
    """A machine with disk, network and public address, and a second disk that nothing has mounted."""
    return deployment(*wanted().workloads, zmount("disk2", 64 * MIB), contract=CONTRACT)


def second() -> Deployment:
    """The network learns of a peer, the second disk grows, a third one comes; the machine stays as it is."""
    machine, disk = (one for one in wanted().workloads if one.type in ("zmachine", "zmount"))
    address = next(one for one in wanted().workloads if one.type == "ip")
    return deployment(
        with_a_peer(network("net1", version=1)),
        machine,
        disk,
        address,
        zmount("disk2", 128 * MIB, version=1),
        zmount("disk3", 64 * MIB, version=1),
        contract=CONTRACT,
        version=1,
    )


def with_a_peer(net: Workload) -> Workload:
    peer = (
        b'{"subnet":"10.1.3.0/24","wireguard_public_key":"kssfc/vUnmrWLi6sp4nIy+TV+dYRmrj2Zb9L4MmIRkY=",'
        b'"allowed_ips":["10.1.3.0/24","100.64.1.3/32"],"endpoint":""}'
    )
    return replace(net, data=net.data.replace(b'"peers":[]', b'"peers":[' + peer + b"]"))


def numbered(records: Sequence[Path]) -> list[str]:
    """The points of journal and types in the order in which they were passed, as `<life>:<point>#<n>`.

    `records`: of each life.  Left out are looks at the machine, which come again and again by the clock.
    """
    found = []
    for life, record in enumerate(records, 1):
        count: Counter[str] = Counter()
        for point in record.read_text().split():
            count[point] += 1
            place, what, *_ = point.split(".")
            if place == "journal" or (place in TYPES and what != "inventory"):
                found.append(f"{life}:{point}#{count[point]}")
    return found
