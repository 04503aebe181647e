"""Nodes are reached over the grid's relay too, by a program without a peer of its own."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from client.grid_client import GridClient
from devgrid import layout, profile
from devgrid.launcher import Grid
from rmb import direct
from tests.grid.conftest import User
from tests.shared import PROJECT
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


def test_the_farmer_asks_his_nodes_doctor_by_the_command(grid: Grid, tmp_path: Path) -> None:
    """With the profile that `zos grid up` writes for him: no local peer, and answers that only he gets."""
    for name, farmer in (("user", False), ("farmer", True)):
        (tmp_path / f"{name}.toml").write_text(profile.text_of(grid, farmer=farmer))

    def zos(who: str, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "client.cli", *words, "--profile", who],
            cwd=PROJECT,
            env={**os.environ, "ZOS_PROFILES": str(tmp_path)},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    told = zos("farmer", "node", "doctor", "1", "--json")
    found = {one["subject"]: one for one in json.loads(told.stdout)}
    assert {"registration", "chain", "clock", "bus", "journal", "jobs", "accelerator"} <= found.keys()
    assert found["journal"]["ok"], found
    assert sum(subject.startswith("disk /dev/loop") for subject in found) > 0
    assert "the farmer of farm 1, and you are twin" in zos("user", "node", "doctor", "1").stderr
