"""The zmount workload on real pools."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from gridtypes import WorkloadType
from gridtypes.workloads import ZMount
from provisioners.protocol import InUse, Unchanged, WorkloadError
from provisioners.system import ext4, vdisks
from provisioners.system.disk_class import DiskClass
from provisioners.system.pools import DiskConfig, Pools
from provisioners.zmount import ZMountProvisioner
from tests.host.storage.conftest import GIB, MIB, MakeDisk, OneNode, workload_id
from tests.host.storage.placed import placed_zmount
from tests.host.storage.program import attempt, run, start
from tests.shared import cases, report_count

pytestmark = pytest.mark.root


@pytest.fixture
def zmounts(pools: Pools) -> ZMountProvisioner:
    return ZMountProvisioner(pools)


async def test_a_disk_is_preallocated_without_copy_on_write(zmounts: ZMountProvisioner, ctx: OneNode) -> None:
    result = await zmounts.provision(ctx, placed_zmount("data", 300 * MIB))
    assert result.volume_id == "26-1000-data"
    disk = await zmounts.disk(ctx, workload_id("data"))
    assert disk.size == disk.path.stat().st_size == 300 * MIB
    assert disk.path.stat().st_blocks * 512 == 300 * MIB
    assert disk.path.stat().st_mode & 0o777 == 0o600
    assert "C" in attempt("lsattr", disk.path).stdout.split()[0]
    assert disk.path.parent.name == "vdisks"


async def test_provision_again_changes_nothing(zmounts: ZMountProvisioner, ctx: OneNode) -> None:
    await zmounts.provision(ctx, placed_zmount("data", 64 * MIB))
    disk = await zmounts.disk(ctx, workload_id("data"))
    disk.path.write_bytes(b"mine" + bytes(64 * MIB - 4))
    await zmounts.provision(ctx, placed_zmount("data", 64 * MIB))
    assert disk.path.read_bytes()[:4] == b"mine"
    assert await zmounts.inventory(ctx) == {workload_id("data")}


async def test_what_is_on_a_disk_survives_a_restart_of_everything(
    pools: Pools, zmounts: ZMountProvisioner, ctx: OneNode, mount_root: Path
) -> None:
    await zmounts.provision(ctx, placed_zmount("data", 64 * MIB))
    disk = await zmounts.disk(ctx, workload_id("data"))
    with disk.path.open("r+b") as file:
        file.write(b"mine")
        os.fsync(file.fileno())
    for pool in pools.pools:
        run("umount", pool.mount)
    rebooted = Pools([DiskConfig(pool.device) for pool in pools.pools], mount_root)
    await rebooted.ensure()
    again = ZMountProvisioner(rebooted)
    assert await again.recover(ctx, placed_zmount("data", 64 * MIB)) is not None
    with (await again.disk(ctx, workload_id("data"))).path.open("rb") as file:
        assert file.read(4) == b"mine"


async def test_a_disk_grows_and_keeps_its_content(zmounts: ZMountProvisioner, ctx: OneNode) -> None:
    before = placed_zmount("data", 64 * MIB)
    await zmounts.provision(ctx, before)
    disk = await zmounts.disk(ctx, workload_id("data"))
    head = disk.path.read_bytes()[: 2 * MIB]
    await zmounts.update(ctx, before, placed_zmount("data", 128 * MIB))
    grown = await zmounts.disk(ctx, workload_id("data"))
    assert grown.size == 128 * MIB
    assert vdisks.fully_taken(grown.path)
    assert grown.path.read_bytes()[: 2 * MIB] == head


async def test_shrinking_is_refused_without_harm(zmounts: ZMountProvisioner, ctx: OneNode) -> None:
    before = placed_zmount("data", 64 * MIB)
    await zmounts.provision(ctx, before)
    with pytest.raises(Unchanged, match="not safe to shrink a disk"):
        await zmounts.update(ctx, before, placed_zmount("data", 32 * MIB))
    assert (await zmounts.disk(ctx, workload_id("data"))).size == 64 * MIB


async def test_the_reported_growing_and_shrinking(
    make_disk: MakeDisk, mount_root: Path, ctx: OneNode
) -> None:
    case = cases("B010")
    old, grown, shrunk = (
        ZMount(size=case["input"][version]["workloads"][0]["data"]["size"])
        for version in ("old", "grow", "shrink")
    )
    pools = Pools([DiskConfig(make_disk(64 * GIB), DiskClass.SSD)], mount_root)
    await pools.ensure()
    zmounts = ZMountProvisioner(pools)
    await zmounts.provision(ctx, placed_zmount("disk1", old.size))
    with pytest.raises(Unchanged, match=case["expected"]["shrink"]["result"].split(": ")[1].split(";")[0]):
        await zmounts.update(ctx, placed_zmount("disk1", old.size), placed_zmount("disk1", shrunk.size))
    assert (await zmounts.disk(ctx, workload_id("disk1"))).size == old.size
    await zmounts.update(ctx, placed_zmount("disk1", old.size), placed_zmount("disk1", grown.size))
    assert (
        f"ok, size {(await zmounts.disk(ctx, workload_id('disk1'))).size}"
        == case["expected"]["grow"]["result"]
    )
    report_count("B010 sizes of a disk", 3)


async def test_a_disk_that_qemu_has_open_neither_grows_nor_goes(
    zmounts: ZMountProvisioner, ctx: OneNode
) -> None:
    before = placed_zmount("data", 64 * MIB)
    await zmounts.provision(ctx, before)
    disk = await zmounts.disk(ctx, workload_id("data"))
    descriptor = os.open(disk.path, os.O_RDWR)
    qemu = start(
        *("qemu-system-x86_64", "-M", "q35", "-nodefaults", "-display", "none", "-S", "-qmp", "stdio"),
        *("-add-fd", f"fd={descriptor},set=1"),
        *("-blockdev", "driver=raw,node-name=d,file.driver=file,file.filename=/dev/fdset/1"),
        *("-device", "virtio-blk-pci,drive=d"),
        keep=(descriptor,),
    )
    os.close(descriptor)
    try:
        assert qemu.stdin is not None
        assert qemu.stdout is not None
        assert "QMP" in qemu.stdout.readline()
        print('{"execute": "qmp_capabilities"}', file=qemu.stdin, flush=True)
        assert "return" in qemu.stdout.readline()  # answered only when its devices are there
        with pytest.raises(Unchanged, match="disk is mounted, please delete the VM first"):
            await zmounts.update(ctx, before, placed_zmount("data", 128 * MIB))
        with pytest.raises(Unchanged, match="not safe to shrink"):
            await zmounts.update(ctx, before, placed_zmount("data", 32 * MIB))
        with pytest.raises(InUse):
            await zmounts.deprovision(ctx, workload_id("data"))
    finally:
        qemu.kill()
        qemu.wait()
    await zmounts.update(ctx, before, placed_zmount("data", 128 * MIB))
    await zmounts.deprovision(ctx, workload_id("data"))


async def test_a_full_pool_refuses_before_anything_is_made(zmounts: ZMountProvisioner, ctx: OneNode) -> None:
    with pytest.raises(WorkloadError, match="not enough space left in pools of this type ssd"):
        await zmounts.provision(ctx, placed_zmount("big", 3 * GIB))
    assert await zmounts.inventory(ctx) == set()
    before = placed_zmount("data", 64 * MIB)
    await zmounts.provision(ctx, before)
    with pytest.raises(Unchanged, match="not enough space"):
        await zmounts.update(ctx, before, placed_zmount("data", 3 * GIB))
    assert (await zmounts.disk(ctx, workload_id("data"))).size == 64 * MIB


async def test_every_promised_byte_can_be_written(
    make_disk: MakeDisk, mount_root: Path, ctx: OneNode
) -> None:
    """Fill an SSD with disks until nothing is promised any more, then write all of them, badly ordered."""
    pools = Pools([DiskConfig(make_disk(GIB), DiskClass.SSD)], mount_root)
    await pools.ensure()
    zmounts = ZMountProvisioner(pools)
    number, size = 0, 512 * MIB
    while size >= 16 * MIB:
        try:
            await zmounts.provision(ctx, placed_zmount(f"d{number}", size))
            number += 1
        except WorkloadError:
            size //= 2
    promised = sum(row.used for row in await pools.list())
    assert promised > 0.75 * GIB
    random_order = random.Random(1)
    for index in range(number):
        disk = await zmounts.disk(ctx, workload_id(f"d{index}"))
        blocks = list(range(disk.size // MIB))
        random_order.shuffle(blocks)
        with disk.path.open("r+b") as file:
            for block in blocks:
                os.pwrite(file.fileno(), os.urandom(4096) * 256, block * MIB)
            os.fsync(file.fileno())


async def test_space_of_a_deleted_disk_can_be_promised_again(
    zmounts: ZMountProvisioner, ctx: OneNode
) -> None:
    for _ in range(3):
        await zmounts.provision(ctx, placed_zmount("big", 1600 * MIB))
        await zmounts.deprovision(ctx, workload_id("big"))
    await zmounts.deprovision(ctx, workload_id("big"))
    assert await zmounts.inventory(ctx) == set()


async def test_a_half_made_disk_is_made_again(pools: Pools, zmounts: ZMountProvisioner, ctx: OneNode) -> None:
    """What a kill leaves: the owner file and a file under its temporary name."""
    pool = pools.pools[0]
    await vdisks.create(pool, "26-1000-other", MIB)
    (pool.vdisks / ".new-26-1000-data").write_bytes(b"half")
    ctx.owner_file(workload_id("data"), WorkloadType.ZMOUNT).write(
        {"pool": pool.name, "size": 64 * MIB, "complete": False}
    )
    assert workload_id("data") in await zmounts.inventory(ctx)
    await zmounts.provision(ctx, placed_zmount("data", 64 * MIB))
    assert sorted(entry.name for entry in pool.vdisks.iterdir()) == ["26-1000-data", "26-1000-other"]


async def test_leftovers_of_a_half_made_disk_go_with_it(
    pools: Pools, zmounts: ZMountProvisioner, ctx: OneNode
) -> None:
    pool = pools.pools[0]
    await vdisks.create(pool, "26-1000-other", MIB)
    (pool.vdisks / ".new-26-1000-data").write_bytes(b"half")
    await zmounts.deprovision(ctx, workload_id("data"))
    assert [entry.name for entry in pool.vdisks.iterdir()] == ["26-1000-other"]


async def test_a_lost_disk_is_an_error_and_never_an_empty_one(
    pools: Pools, zmounts: ZMountProvisioner, ctx: OneNode, mount_root: Path
) -> None:
    await zmounts.provision(ctx, placed_zmount("data", 64 * MIB))
    disk = await zmounts.disk(ctx, workload_id("data"))
    missing = next(pool for pool in pools.pools if disk.path.is_relative_to(pool.mount))
    without = Pools([DiskConfig(pool.device) for pool in pools.pools if pool != missing], mount_root)
    await without.ensure()
    alone = ZMountProvisioner(without)
    assert await alone.recover(ctx, placed_zmount("data", 64 * MIB)) is None
    for verb in (
        alone.provision(ctx, placed_zmount("data", 64 * MIB)),
        alone.disk(ctx, workload_id("data")),
        alone.deprovision(ctx, workload_id("data")),
    ):
        with pytest.raises(WorkloadError, match=missing.name):
            await verb
    disk.path.unlink()
    with pytest.raises(WorkloadError, match="is gone from pool"):
        await zmounts.provision(ctx, placed_zmount("data", 64 * MIB))
    await zmounts.deprovision(ctx, workload_id("data"))


async def test_an_unknown_disk_is_named(zmounts: ZMountProvisioner, ctx: OneNode) -> None:
    with pytest.raises(WorkloadError, match="disk 26-1000-nothing does not exist"):
        await zmounts.disk(ctx, workload_id("nothing"))


async def test_a_disk_is_formatted_once_and_keeps_its_preallocation(
    zmounts: ZMountProvisioner, ctx: OneNode
) -> None:
    await zmounts.provision(ctx, placed_zmount("data", 256 * MIB))
    path = (await zmounts.disk(ctx, workload_id("data"))).path
    assert vdisks.fully_taken(path)
    assert attempt("e2fsck", "-fn", path).returncode == 0
    made = attempt("blkid", "-p", path).stdout
    assert 'TYPE="ext4"' in made
    await zmounts.disk(ctx, workload_id("data"))
    assert attempt("blkid", "-p", path).stdout == made
    with path.open("r+b") as file:
        file.write(bytes(2 * MIB))  # its user wipes it: that is his business
    await zmounts.disk(ctx, workload_id("data"))
    assert attempt("blkid", "-p", path).stdout == ""


async def test_a_disk_that_carries_something_is_not_formatted(pools: Pools) -> None:
    path = await vdisks.create(pools.pools[0], "26-1000-data", 128 * MIB)
    run("mkfs.vfat", path)
    await ext4.ensure(path)
    assert "vfat" in attempt("blkid", "-p", path).stdout


async def test_an_interrupted_format_is_done_again(pools: Pools) -> None:
    path = await vdisks.create(pools.pools[0], "26-1000-data", 128 * MIB)
    run("mkfs.ext4", "-q", path, "16M")
    os.setxattr(path, "user.zos.content", b"formatting")
    await ext4.ensure(path)
    assert os.getxattr(path, "user.zos.content") == b"ext4"
    assert attempt("e2fsck", "-fn", path).returncode == 0


async def test_a_disk_too_small_for_a_file_system_says_so(zmounts: ZMountProvisioner, ctx: OneNode) -> None:
    await zmounts.provision(ctx, placed_zmount("tiny", 1024))
    with pytest.raises(WorkloadError, match="disk 26-1000-tiny cannot be formatted"):
        await zmounts.disk(ctx, workload_id("tiny"))
