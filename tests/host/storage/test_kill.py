"""Whatever moment a node is killed at, the next one finds everything as it should be or makes it so."""

from __future__ import annotations

import random
import sys
import time
from pathlib import Path

import pytest

from provisioners.system.disk_class import DiskClass
from provisioners.system.pools import DiskConfig, Pools
from provisioners.system.root_volumes import QuotaRootVolumes
from provisioners.zmount import ZMountProvisioner
from tests.host.storage.conftest import GIB, MIB, MakeDisk, one_node, workload_id
from tests.host.storage.placed import placed_zmount
from tests.host.storage.program import attempt, start

pytestmark = pytest.mark.root

KILLS = 12


async def test_a_node_that_is_killed_again_and_again(
    make_disk: MakeDisk, mount_root: Path, tmp_path: Path
) -> None:
    disk = make_disk(GIB)
    moments = random.Random(7)
    state = tmp_path / "state"
    for _ in range(KILLS):
        node = start(sys.executable, "-m", "tests.host.storage.busy_node", state, mount_root, disk)
        try:
            assert node.stdout is not None
            assert "ready\n" in iter(node.stdout.readline, "")
            time.sleep(moments.uniform(0.0, 0.15))  # noqa: ASYNC251  # nothing else runs here
        finally:
            node.kill()
            node.wait()
        await converges(state, mount_root, disk)


async def converges(state: Path, mount_root: Path, disk: Path) -> None:
    pools = Pools([DiskConfig(disk, DiskClass.SSD)], mount_root)
    await pools.ensure()
    assert pools.refused == ()
    [pool] = pools.pools
    zmounts, roots, ctx = ZMountProvisioner(pools), QuotaRootVolumes(pools), one_node(state)
    data, vm = workload_id("data"), workload_id("vm")
    await zmounts.provision(ctx, placed_zmount("data", 64 * MIB))
    found = await zmounts.disk(ctx, data)
    assert [entry.name for entry in pool.vdisks.iterdir()] == [str(data)]
    assert attempt("e2fsck", "-fn", found.path).returncode == 0
    volume = await roots.ensure(vm, 64 * MIB)
    assert volume.fresh or (volume.path / "file").read_text() == "content"
    await roots.delete(vm)
    await zmounts.deprovision(ctx, data)
    assert await zmounts.inventory(ctx) == roots.inventory() == set()
    assert list(pool.vdisks.iterdir()) == []
    await pool.settled_space()
    assert (await pool.space()).promised == 0
