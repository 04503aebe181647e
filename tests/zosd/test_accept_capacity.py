"""Nothing is promised twice, and nothing that is not there."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from gridtypes import (
    WorkloadType,
)
from tests.zosd.accepting import refused, signed_up
from tests.zosd.parts import (
    daemon,
    deployment,
    machine,
    network,
    zmount,
)
from zosd.accept.refusal import Refusal
from zosd.capacity import GIB


class TestCapacity:
    async def test_memory(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            wanted = deployment(network(), machine(memory=15 * GIB))
            text = await refused(node, signed_up(node, wanted))
            assert text == (
                "failed to satisfy required capacity: cannot fulfil required memory size "
                f"{15 * GIB} bytes out of usable {14 * GIB} bytes"
            )

    async def test_the_sum_of_a_deployment_counts(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            wanted = deployment(network(), machine("a", memory=8 * GIB), machine("b", memory=8 * GIB))
            assert "out of usable" in await refused(node, signed_up(node, wanted))

    async def test_the_kernel_s_figure_counts_when_it_is_worse(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            node.node.available = GIB
            wanted = deployment(network(), machine(memory=2 * GIB))
            assert f"out of usable {GIB} bytes" in await refused(node, signed_up(node, wanted))

    async def test_a_node_smaller_than_its_own_reserve_lets_nothing_pass(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            node.node.total = replace(node.node.total, mru=GIB)
            wanted = deployment(network(), machine())
            assert "out of usable 0 bytes" in await refused(node, signed_up(node, wanted))

    async def test_cores(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            wanted = deployment(network(), machine(cpu=5))
            assert "required cpu count 5 out of 4" in await refused(node, signed_up(node, wanted))

    async def test_disk(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            node.node.free_ssd = 10 * GIB
            wanted = deployment(zmount("a", 6 * GIB), zmount("b", 6 * GIB))
            assert "not enough space left in pools of this type ssd" in await refused(
                node, signed_up(node, wanted)
            )

    async def test_what_is_promised_at_the_same_time_is_never_promised_twice(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            gate = node.scripts[WorkloadType.ZMACHINE].gates["provision"] = asyncio.Event()
            wanted = [
                signed_up(
                    node, deployment(network(f"n{n}"), machine(net=f"n{n}", memory=4 * GIB), contract=n)
                )
                for n in range(1, 11)
            ]
            ends = await asyncio.gather(*(node.deploy(one) for one in wanted), return_exceptions=True)
            assert sum(end is None for end in ends) == 3  # 16 GiB less 2 GiB of reserve
            assert all("cannot fulfil" in str(end) for end in ends if end is not None)
            gate.set()
            await node.settled()

    async def test_growth_of_a_disk_counts(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            node.node.free_ssd = 10 * GIB
            await node.deploy_with_contract(deployment(zmount("a", 4 * GIB)))
            await node.settled()
            new = deployment(zmount("a", 20 * GIB, version=1), version=1)
            node.chain.sign_up(new)
            with pytest.raises(Refusal, match="not enough space"):
                await node.update(new)
