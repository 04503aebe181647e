"""A small node that makes and removes a disk and a root for ever, to be killed.

`python -m tests.host.storage.busy_node <state> <mount root> <disk>`
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from provisioners.system.disk_class import DiskClass
from provisioners.system.pools import DiskConfig, Pools
from provisioners.system.root_volumes import QuotaRootVolumes
from provisioners.zmount import ZMountProvisioner
from tests.host.storage.conftest import MIB, one_node, workload_id
from tests.host.storage.placed import placed_zmount


async def main(state: Path, mount_root: Path, disk: Path) -> None:
    pools = Pools([DiskConfig(disk, DiskClass.SSD)], mount_root)
    await pools.ensure()
    zmounts, roots, ctx = ZMountProvisioner(pools), QuotaRootVolumes(pools), one_node(state)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    while True:
        await zmounts.provision(ctx, placed_zmount("data", 64 * MIB))
        await zmounts.disk(ctx, workload_id("data"))
        volume = await roots.ensure(workload_id("vm"), 64 * MIB)
        (volume.path / "file").write_text("content")
        await roots.commit(workload_id("vm"))
        await roots.delete(workload_id("vm"))
        await zmounts.deprovision(ctx, workload_id("data"))


if __name__ == "__main__":
    asyncio.run(main(*map(Path, sys.argv[1:])))
