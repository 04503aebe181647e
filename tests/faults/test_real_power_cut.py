"""The power of a whole node goes: journal, owner files and disks are those of one instant, and everything else is gone.

State and the backing files of the node's disks lie in one btrfs subvolume; the loop devices write past the page cache,
so that a snapshot holds what the disks held.  A node started from the snapshot keeps what was acknowledged, goes on to
the end, and looks like one that was not disturbed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from devgrid.loop_device import LoopDevice, make_sparse
from tests.faults import scope
from tests.faults.real_life import CONTRACT, RealLife, first, second
from tests.host.network.lab import open_lab
from tests.host.zosd.test_real_node import GIB, GUEST, IMAGE, RealNode, prepared
from tests.rmb.redis_server import redis_server
from tests.shared import report_count

pytestmark = pytest.mark.root

CUTS = scope.count(1, 30)
IN_ONE_LIFE = 4
LONGEST_S = 8.0
"""Within which a life that is to be cut does most of its work."""
MAC = "02:00:00:00:99:01"


def run(*command: str | Path) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, f"{command}: {done.stderr}"


class Disks:
    """A file system whose subvolume `node` has everything that a node keeps."""

    def __init__(self, top: Path) -> None:
        self._top = top
        self.node = top / "node"
        run("btrfs", "subvolume", "create", self.node)
        (self.node / "real").mkdir()
        # What a guest has in flight must not fail a check sum of the file system below.
        (self.node / "backing").mkdir()
        run("chattr", "+C", self.node / "backing")
        for disk in self.backing():
            make_sparse(disk, 4 * GIB)

    def backing(self) -> list[Path]:
        return [self.node / "backing" / f"disk{number}" for number in range(2)]

    def cut(self, number: int) -> Path:
        """A copy of the instant."""
        copy = self._top / f"cut{number}"
        run("btrfs", "subvolume", "snapshot", self.node, copy)
        return copy

    def put_in_place(self, copy: Path) -> None:
        """Let the copy be the node's disks from now on."""
        run("btrfs", "subvolume", "delete", self.node)
        os.rename(copy, self.node)


@pytest.fixture
def disks(tmp_path: Path) -> Iterator[Disks]:
    for needed in (GUEST / "manifest.json", IMAGE):
        if not needed.exists():
            pytest.skip(f"{needed} is missing: make setup")
    image, top = tmp_path / "disks.img", tmp_path / "disks"
    make_sparse(image, 24 * GIB)
    device = LoopDevice.attach(image)
    try:
        run("mkfs.btrfs", "-q", device.path)
        top.mkdir()
        run("mount", "-t", "btrfs", device.path, top)
        try:
            yield Disks(top)
        finally:
            run("umount", "-l", top)
    finally:
        device.close()


@contextlib.asynccontextmanager
async def powered(disks: Disks, place: Path, memory: Path, *, known: bool = False) -> AsyncIterator[RealLife]:
    """The node with power; at the end it goes, and with it everything that is not on a disk.

    `known`: the chain has the contract, in its second version.
    """
    # A disk of an earlier instant has the same identity as the one that the kernel remembers.
    run("btrfs", "device", "scan", "--forget")
    devices = [LoopDevice.attach(file, direct=True) for file in disks.backing()]
    shutil.rmtree(memory, ignore_errors=True)
    memory.mkdir(mode=0o711)
    place.mkdir()
    try:
        with redis_server() as redis:
            with open_lab(place) as lab:
                node = lab.add_node(1)
                node.sh(f"ip link set dev eth0 address {MAC}")
                paths = [device.path for device in devices]
                real = RealNode(node, disks.node / "real", redis, paths, run=memory)
                if known:
                    real.sign_up(second())
                life = RealLife(real, await prepared(real))
                await life.start()
                yield life
            # Its first process goes when all others of it have gone.
            while Path(f"/proc/{lab.pid}").exists():
                await asyncio.sleep(0.02)
            await life.bus.link.close()
    finally:
        for device in devices:
            device.close()


@pytest.mark.timeout(3600 if scope.EVERY_ONE else 600)
async def test_what_the_disks_held_at_one_instant_is_a_node_that_goes_on(
    disks: Disks, tmp_path: Path
) -> None:
    chance = random.Random(scope.SEED)
    places = (tmp_path / f"place{number}" for number in range(10_000))
    memory = Path(tempfile.mkdtemp(prefix="z-"))
    try:
        async with powered(disks, next(places), memory) as life:
            empty = await life.empty()
            fresh = disks.cut(0)
            looks = await life.whole(({}, {}))
        done = 0
        while done < CUTS:
            cuts = await cut_a_life(disks, next(places), memory, fresh, min(IN_ONE_LIFE, CUTS - done), chance)
            for copy, acknowledged in cuts:
                disks.put_in_place(copy)
                async with powered(disks, next(places), memory, known=True) as life:
                    await goes_on(life, acknowledged, looks, empty)
                done += 1
    finally:
        shutil.rmtree(memory, ignore_errors=True)
    report_count("power cuts of a node with real disks", done)


async def cut_a_life(
    disks: Disks, place: Path, memory: Path, fresh: Path, count: int, chance: random.Random
) -> list[tuple[Path, int]]:
    """Instants of one life that begins with fresh disks, and the version that was acknowledged before each."""
    start = fresh.with_name("start")
    run("btrfs", "subvolume", "snapshot", fresh, start)
    disks.put_in_place(start)
    moments = sorted(chance.uniform(0, LONGEST_S) for _ in range(count))
    acknowledged, cuts = -1, []
    async with powered(disks, place, memory) as life:

        async def client() -> None:
            nonlocal acknowledged
            for number, (command, version) in enumerate((("deploy", first()), ("update", second()))):
                await life.told(command, version)
                acknowledged = number
                await life.becomes(version)

        working = asyncio.create_task(client())
        began = asyncio.get_running_loop().time()
        for number, moment in enumerate(moments, 1):
            await asyncio.sleep(began + moment - asyncio.get_running_loop().time())
            known = acknowledged
            cuts.append((await asyncio.to_thread(disks.cut, number), known))
        working.cancel()
        await asyncio.gather(working, return_exceptions=True)
    return cuts


async def version(life: RealLife) -> int:
    """Of the deployment; -1 while the node has none."""
    try:
        return int((await life.ask("zos.deployment.get", {"contract_id": CONTRACT}))["version"])
    except RuntimeError as refusal:
        if str(refusal) != "deployment not found":
            raise
        return -1


async def goes_on(
    life: RealLife, acknowledged: int, looks: list[dict[str, Any]], empty: dict[str, Any]
) -> None:
    """The client tells again what was not acknowledged; the end is that of an undisturbed life."""
    found = await version(life)
    assert found >= acknowledged
    if found < 0:
        await life.told("deploy", first())
    if found < 1:
        await life.told("update", second())
    await life.becomes(second())
    assert await life.looks_like(looks[1]) == ""
    await life.cancel()
    assert await life.looks_like(empty) == ""
