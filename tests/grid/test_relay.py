"""Nodes are reached over the grid's relay too, by a program without a peer of its own."""

from __future__ import annotations

import asyncio

import pytest

from client.grid_client import GridClient
from devgrid import layout
from devgrid.launcher import Grid
from rmb import direct
from tests.grid.conftest import User
from tfchain.models import Node

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

RELAY = f"ws://{layout.LAN_GATEWAY.ip}"


def test_every_node_answers_over_the_relay(grid: Grid, user: User) -> None:
    async def work(client: GridClient) -> None:
        nodes: list[Node] = await client.chain.nodes()
        for node in nodes:
            async with asyncio.timeout(60):  # registered beside everything else
                while (twin := await client.chain.twin(node.twin_id)) is None or not twin.relay:
                    await asyncio.sleep(0.2)
            assert twin.relay == layout.RELAY_HOST
            assert twin.pk is not None
        async with direct.connect([RELAY], client.chain, client.key, client.twin, session="test") as bus:
            for node in nodes:
                version = await bus.call(node.twin_id, "zos.system.version", timeout=60)
                assert version["zos"]
                assert await bus.call(node.twin_id, "zos.deployment.list", timeout=60) == []

    user.run(work)
