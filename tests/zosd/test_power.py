"""The farmer's wish about a node's power."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.zosd.memory_chain import FastClock, beside
from tests.zosd.parts import NODE
from tfchain import ChainUnavailable, Identity
from tfchain.models import NodePower
from zosd.chainlife.power import Power


class PowerChain:
    def __init__(self, power: NodePower) -> None:
        self.power = power
        self.said: list[bool] = []
        self.away = 0

    async def node_power(self, node: int) -> NodePower:
        if self.away:
            self.away -= 1
            raise ChainUnavailable("connection refused")
        return self.power

    async def set_node_power_state(self, key: Identity, is_up: bool) -> None:
        self.said.append(is_up)
        self.power = NodePower(is_up, self.power.wanted_up)


def power(chain: PowerChain, off: tuple[str, ...], reports: list[str]) -> Power:
    async def report() -> None:
        reports.append("uptime")

    return Power(chain, Identity.generate(), FastClock(), off, 0.01, report)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("is_up", "wanted_up", "may_go", "said", "goes"),
    [
        (True, True, True, [], False),
        (False, True, True, [True], False),
        (True, False, True, [False], True),
        (False, False, True, [], True),
        (True, False, False, [], False),
        (False, False, False, [True], False),
        (False, True, False, [True], False),
    ],
)
async def test_the_state_says_what_is_so(
    is_up: bool, wanted_up: bool, may_go: bool, said: list[bool], goes: bool
) -> None:
    chain = PowerChain(NodePower(is_up, wanted_up))
    keeper = power(chain, ("true",) if may_go else (), [])
    assert await keeper.settle(NODE) is goes
    assert chain.said == said
    # Told once.
    await keeper.settle(NODE)
    assert chain.said == said


async def test_a_wish_that_comes_while_it_runs(tmp_path: Path) -> None:
    mark, reports = tmp_path / "off", list[str]()
    chain = PowerChain(NodePower(True, True))
    chain.away = 2
    keeper = power(chain, ("touch", str(mark)), reports)
    async with beside(lambda: keeper.run(NODE)):
        async with asyncio.timeout(60):
            while chain.away:
                await asyncio.sleep(0.01)
        assert not mark.exists()
        chain.power = NodePower(True, False)
        keeper.look()
        async with asyncio.timeout(60):
            while not mark.exists():
                await asyncio.sleep(0.01)
    # The last words come before the light goes out.
    assert reports[0] == "uptime"
    assert chain.said[-1] is False
