"""Updates that are refused, and calls that come twice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from gridtypes import (
    Deployment,
)
from tests.zosd.accepting import signed_up
from tests.zosd.parts import (
    CONTRACT,
    TWIN,
    Daemon,
    daemon,
    deployment,
    full,
    machine,
    network,
    zmount,
)
from zosd.accept.refusal import Refusal
from zosd.capacity import GIB
from zosd.journal.records import Key


class TestRepeated:
    async def test_the_same_deploy_again_is_no_error(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            wanted = full()
            key = await node.deploy_with_contract(wanted)
            await node.settled()
            before = await node.changes(key)
            await node.deploy(wanted)
            await asyncio.sleep(0.05)
            assert await node.changes(key) == before

    async def test_two_at_the_same_time(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            wanted = signed_up(node, full())
            await asyncio.gather(node.deploy(wanted), node.deploy(wanted), node.deploy(wanted))
            await node.settled()
            assert [state for _, state in await node.changes(Key(TWIN, CONTRACT))].count("init") == 4

    async def test_the_same_update_again_is_no_error(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            await node.deploy_with_contract(deployment(zmount("a")))
            new = signed_up(node, deployment(zmount("a", 2 * GIB, version=1), version=1))
            await node.update(new)
            await node.update(new)
            await node.settled()


class TestUpdateRefusals:
    async def refuse(self, node: Daemon, new: Deployment) -> str:
        node.chain.sign_up(new)
        with pytest.raises(Refusal) as caught:
            await node.update(new)
        return str(caught.value)

    @pytest.mark.parametrize(
        ("make", "text"),
        [
            (
                lambda: deployment(zmount("a", version=2), version=2),
                "expecting deployment version 1, got 2: upgrade validation error",
            ),
            (
                lambda: deployment(network("a", version=1), version=1),
                "cannot change workload type 'a': upgrade validation error",
            ),
            (
                lambda: deployment(zmount("a"), zmount("b"), version=1),
                "invalid version number for workload 'b' expected '1': upgrade validation error",
            ),
        ],
    )
    async def test_texts(self, tmp_path: Path, make: Callable[[], Deployment], text: str) -> None:
        async with daemon(tmp_path) as node:
            await node.deploy_with_contract(deployment(zmount("a")))
            await node.settled()
            assert await self.refuse(node, make()) == text

    async def test_a_machine_cannot_be_updated(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            await node.deploy_with_contract(deployment(network(), machine()))
            await node.settled()
            new = deployment(network(), machine(version=1, cpu=2), version=1)
            assert (
                await self.refuse(node, new)
                == "workload 'zmachine' does not support upgrade: upgrade validation error"
            )

    async def test_unknown(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            new = deployment(zmount("a", version=1), version=1)
            assert await self.refuse(node, new) == "twin not found: deployment does not exist"
            await node.deploy_with_contract(deployment(network(), contract=1))
            assert await self.refuse(node, new) == "deployment not found: deployment does not exist"

    async def test_a_wrong_hash_leaves_everything_as_it_is(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            key = await node.deploy_with_contract(full())
            await node.settled()
            before = node.journal.ledger.get(key)
            new = deployment(network(version=1), version=1)
            with pytest.raises(Refusal, match="contract hash does not match deployment hash"):
                await node.update(new)
            assert node.journal.ledger.get(key) == before
