"""Lives of a node: what a client and the chain do, in steps that are told again until they are acknowledged."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gridtypes import ContractId, Deployment, WorkloadId
from tests.faults.workloads import every_type, zdb
from tests.faults.world import World
from tests.zosd.parts import TWIN, Daemon, deployment, machine, network, public_ip, zmount
from zosd.accept.refusal import Refusal
from zosd.journal.records import Key

Act = Callable[[Daemon, World], Awaitable[None]]

CANCELLED = "contract canceled event received"


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    act: Act
    promises: tuple[tuple[int, int], ...] = ()
    """(contract, least version) that have to be in the journal once this step is acknowledged."""
    ends: tuple[int, ...] = ()
    """Contracts whose promises end with this step, acknowledged or not."""
    restarts: bool = False
    """The daemon ends after it and is started anew."""
    reboots: bool = False
    """So does the machine: everything volatile is gone."""


@dataclass(frozen=True, slots=True)
class Scenario:
    name: str
    steps: tuple[Step, ...]
    compares_history: bool = True
    """What happened is the same in every run, and not only what came of it."""


def contract_of(key: int) -> Key:
    return Key(TWIN, ContractId(key))


def deploy(name: str, wanted: Deployment) -> Step:
    async def act(node: Daemon, world: World) -> None:
        world.sign_up(node.chain, wanted)
        await node.deploy(wanted)

    return Step(name, act, promises=((wanted.contract_id, 0),))


def update(name: str, wanted: Deployment) -> Step:
    async def act(node: Daemon, world: World) -> None:
        world.sign_up(node.chain, wanted)
        await node.update(wanted)

    return Step(name, act, promises=((wanted.contract_id, wanted.version),))


def refused(name: str, wanted: Deployment) -> Step:
    """A deployment whose contract is for something else: nothing of it may ever be seen."""

    async def act(node: Daemon, world: World) -> None:
        try:
            await node.deploy(wanted)
        except Refusal:
            return
        raise AssertionError(f"{name}: accepted")

    return Step(name, act)


def settle(name: str) -> Step:
    async def act(node: Daemon, world: World) -> None:
        await node.settled(60)

    return Step(name, act)


def pause(name: str, contract: int, begins: bool) -> Step:
    async def act(node: Daemon, world: World) -> None:
        await node.orders.pause(contract_of(contract), begins)

    return Step(name, act)


def cancel(name: str, contract: int) -> Step:
    async def act(node: Daemon, world: World) -> None:
        await node.orders.leave(contract_of(contract), CANCELLED)

    return Step(name, act, ends=(contract,))


def gone(name: str, *contracts: int) -> Step:
    async def act(node: Daemon, world: World) -> None:
        keys = [contract_of(contract) for contract in contracts]
        await node.until(lambda: all(node.journal.ledger.get(key) is None for key in keys), 60)

    return Step(name, act)


def reboot(name: str) -> Step:
    async def act(node: Daemon, world: World) -> None:
        """The harness does it, once the daemon has ended."""

    return Step(name, act, restarts=True, reboots=True)


def restart(name: str) -> Step:
    async def act(node: Daemon, world: World) -> None:
        """The harness does it, once the daemon has ended."""

    return Step(name, act, restarts=True)


def _grown() -> Deployment:
    """The disk and the store grow, one disk goes, one comes."""
    return deployment(
        machine("vm", "net", {"disk": "/data"}, public="ip"),
        zmount("disk", 2 << 30, version=1),
        network("net"),
        public_ip("ip"),
        zdb("zdb", 2 << 30, version=1),
        zmount("new", version=1),
        contract=1,
        version=1,
    )


def _before() -> Deployment:
    return deployment(
        machine("vm", "net", {"disk": "/data"}, public="ip"),
        zmount("disk"),
        network("net"),
        public_ip("ip"),
        zdb("zdb"),
        zmount("old"),
        contract=1,
    )


def _small(contract: int, name: str) -> Deployment:
    return deployment(zmount(f"{name}d"), network(f"{name}n", port=7000 + contract), contract=contract)


def _storm() -> Scenario:
    """Grace periods begin and end in any order, some of it told twice; half of the deployments go."""
    chance = random.Random(11)
    kept, lost = [1, 2], [3, 4]
    steps = [deploy(f"deploy{n}", _small(n, f"s{n}")) for n in (*kept, *lost)]
    for number in range(24):
        contract = chance.choice((*kept, *lost))
        steps.append(pause(f"grace{number}", contract, chance.random() < 0.5))
    steps += [cancel(f"cancel{n}", n) for n in lost for _ in (1,)]
    steps += [cancel(f"again{n}", n) for n in lost]
    steps += [pause(f"late{n}", n, True) for n in lost]
    steps += [pause("paused1", 1, True), pause("runs2", 2, False)]
    steps += [gone("gone", *lost), settle("end")]
    return Scenario("storm", tuple(steps), compares_history=False)


def _crash() -> Scenario:
    """A machine dies by itself, and is told of twice."""

    async def dies(node: Daemon, world: World) -> None:
        await node.engine.fallen(WorkloadId.parse(f"{TWIN}-1-vm"), "the guest stopped")

    return Scenario(
        "crash",
        (
            deploy("deploy", _before()),
            settle("made"),
            Step("dies", dies),
            settle("back"),
            update("grow", _grown()),
            settle("end"),
        ),
        compares_history=False,
    )


def _tampered() -> Deployment:
    return deployment(zmount("x"), contract=1, version=0)


SCENARIOS: tuple[Scenario, ...] = (
    Scenario("install", (deploy("deploy", deployment(*every_type(), contract=1)), settle("end"))),
    Scenario(
        "update",
        (
            deploy("deploy", _before()),
            refused("other", _tampered()),
            settle("made"),
            update("grow", _grown()),
            settle("end"),
        ),
    ),
    Scenario(
        "pause",
        (
            deploy("deploy", deployment(*every_type(), contract=1)),
            settle("made"),
            pause("grace", 1, True),
            settle("paused"),
            pause("restored", 1, False),
            settle("end"),
        ),
    ),
    Scenario(
        "cancel",
        (
            deploy("keep", _small(2, "k")),
            deploy("deploy", deployment(*every_type(), contract=1)),
            settle("made"),
            cancel("cancel", 1),
            gone("gone", 1),
            settle("end"),
        ),
    ),
    Scenario(
        "reboot",
        (
            deploy("deploy", _before()),
            settle("made"),
            reboot("reboot"),
            settle("back"),
            pause("grace", 1, True),
            settle("paused"),
            reboot("again"),
            settle("still"),
            pause("restored", 1, False),
            settle("end"),
        ),
        compares_history=False,
    ),
    Scenario(
        "restart",
        (
            deploy("deploy", deployment(*every_type(), contract=1)),
            settle("made"),
            restart("restart"),
            settle("adopted"),
            pause("grace", 1, True),
            settle("paused"),
            restart("again"),
            settle("still"),
            pause("restored", 1, False),
            settle("end"),
        ),
    ),
    _storm(),
    _crash(),
)
