"""Which disks become pools, which are left alone, and what is the same after a restart."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from provisioners.protocol import WorkloadError
from provisioners.system import block
from provisioners.system.disk_class import DiskClass
from provisioners.system.pools import DiskConfig, Pools
from tests.host.storage.conftest import GIB, MIB, MakeDisk
from tests.host.storage.partition_table import write_dos, write_gpt
from tests.host.storage.program import run, start

pytestmark = pytest.mark.root


def content(device: Path) -> str:
    with device.open("rb") as file:
        return hashlib.sha256(file.read(8 * MIB)).hexdigest()


async def refusal(disk: Path, root: Path) -> str:
    pools = Pools([DiskConfig(disk)], root)
    before = content(disk)
    await pools.ensure()
    assert pools.pools == ()
    assert content(disk) == before
    return pools.refused[0].reason


async def test_a_blank_disk_becomes_a_pool_named_by_its_file_system(
    make_disk: MakeDisk, mount_root: Path
) -> None:
    disk = make_disk()
    pools = Pools([DiskConfig(disk, DiskClass.SSD)], mount_root)
    await pools.ensure()
    [pool] = pools.pools
    assert pool.name == run("blkid", "-p", "-s", "UUID", "-o", "value", disk).strip()
    assert len(run("blkid", "-p", "-s", "LABEL", "-o", "value", disk).strip()) == 36
    assert pool.mount == mount_root / pool.name
    assert (pool.mount / ".seektime").read_text() == "ssd"
    assert "nosuid" in run("findmnt", "-no", "OPTIONS", pool.mount)
    assert run("btrfs", "qgroup", "show", pool.mount)
    [row] = await pools.list()
    assert (row.name, row.type, row.size, row.used) == (pool.name, "ssd", 2 * GIB, 0)
    assert block.mount_points(disk) == [str(pool.mount)]


async def test_ensure_again_and_after_a_restart_finds_the_same_pools(pools: Pools, mount_root: Path) -> None:
    names = [pool.name for pool in pools.pools]
    marks = [pool.mount / "mark" for pool in pools.pools]
    for mark in marks:
        mark.write_text("here")
    await pools.ensure()
    assert [pool.name for pool in pools.pools] == names
    devices = [DiskConfig(pool.device) for pool in pools.pools]
    again = Pools(devices, mount_root)
    await again.ensure()
    assert [pool.name for pool in again.pools] == names
    for pool in again.pools:
        run("umount", pool.mount)
    rebooted = Pools(devices, mount_root)
    await rebooted.ensure()
    assert [pool.name for pool in rebooted.pools] == names
    assert [pool.type for pool in rebooted.pools] == ["ssd", "ssd", "hdd"]
    assert all(mark.read_text() == "here" for mark in marks)


async def test_the_operator_may_change_the_class_and_it_is_kept(
    make_disk: MakeDisk, mount_root: Path
) -> None:
    disk = make_disk()
    for asked, expected in ((DiskClass.SSD, "ssd"), (DiskClass.HDD, "hdd"), (None, "hdd")):
        pools = Pools([DiskConfig(disk, asked)], mount_root)
        await pools.ensure()
        assert pools.pools[0].type == expected


@pytest.mark.parametrize(
    ("prepare", "reason"),
    [
        (["mkfs.ext4", "-q", "{}"], "ext4"),
        (["mkfs.vfat", "{}"], "vfat"),
        (["mkswap", "{}"], "swap"),
    ],
)
async def test_a_disk_with_something_on_it_is_refused_and_not_written(
    make_disk: MakeDisk, mount_root: Path, prepare: list[str], reason: str
) -> None:
    disk = make_disk()
    run(*(word.format(disk) for word in prepare))
    assert reason in await refusal(disk, mount_root)


async def test_an_empty_partition_table_is_refused(make_disk: MakeDisk, mount_root: Path) -> None:
    dos, gpt = make_disk(), make_disk()
    write_dos(dos)
    write_gpt(gpt)
    assert await refusal(dos, mount_root) == "empty dos table"
    assert await refusal(gpt, mount_root) == "empty gpt table"


async def test_a_mounted_disk_is_refused(make_disk: MakeDisk, mount_root: Path, tmp_path: Path) -> None:
    disk = make_disk()
    run("mkfs.btrfs", "-q", disk)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run("mount", disk, elsewhere)
    try:
        assert f"mounted at {elsewhere}" in await refusal(disk, mount_root)
    finally:
        run("umount", elsewhere)


async def test_a_disk_mounted_in_another_namespace_is_refused(make_disk: MakeDisk, mount_root: Path) -> None:
    disk = make_disk()
    run("mkfs.btrfs", "-q", disk)
    holder = start("unshare", "-m", "sh", "-c", f"mount {disk} /mnt && echo mounted && exec sleep 60")
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "mounted\n"
        assert "in use elsewhere" in await refusal(disk, mount_root)
    finally:
        holder.kill()
        holder.wait()


async def test_btrfs_with_somebodys_data_is_not_adopted(
    make_disk: MakeDisk, mount_root: Path, tmp_path: Path
) -> None:
    disk = make_disk()
    run("mkfs.btrfs", "-q", disk)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    run("mount", disk, elsewhere)
    (elsewhere / "thesis.tex").write_text("years")
    run("umount", elsewhere)
    assert "no pool of a node" in await refusal(disk, mount_root)


async def test_a_damaged_pool_is_named_left_alone_and_the_others_are_used(
    make_disk: MakeDisk, mount_root: Path
) -> None:
    damaged, sound = make_disk(), make_disk(GIB)
    run("mkfs.btrfs", "-q", damaged)
    uuid = run("blkid", "-p", "-s", "UUID", "-o", "value", damaged).strip()
    with damaged.open("r+b") as device:  # the trees, not the superblock
        device.seek(MIB)
        for _ in range(300):
            device.write(b"\xa5" * MIB)
    before = content(damaged)
    pools = Pools([DiskConfig(damaged), DiskConfig(sound, DiskClass.SSD)], mount_root)
    await pools.ensure()
    [refused] = pools.refused
    assert refused.damaged
    assert "damaged btrfs" in refused.reason
    assert uuid in refused.reason
    assert content(damaged) == before
    assert [pool.device for pool in pools.pools] == [sound]
    assert await pools.choose(100 * MIB) == pools.pools[0]


async def test_paths_that_are_no_disks_are_named(mount_root: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    pools = Pools([DiskConfig(Path("/dev/nothing-here")), DiskConfig(file)], mount_root)
    await pools.ensure()
    assert [refused.reason for refused in pools.refused] == [
        "no such device: No such file or directory",
        "not a block device",
    ]


async def test_a_disk_named_twice_or_copied_is_one_pool(
    make_disk: MakeDisk, mount_root: Path, tmp_path: Path
) -> None:
    disk, copy = make_disk(GIB), make_disk(GIB)
    alias = tmp_path / "by-id"
    alias.symlink_to(disk)
    run("mkfs.btrfs", "-q", disk)
    run("dd", f"if={disk}", f"of={copy}", "bs=1M", "count=300", "conv=sparse", "status=none")
    pools = Pools([DiskConfig(disk), DiskConfig(alias), DiskConfig(copy)], mount_root)
    await pools.ensure()
    assert [pool.device for pool in pools.pools] == [disk]
    assert "named twice" in pools.refused[0].reason
    assert "copy of pool" in pools.refused[1].reason


async def test_a_small_disk_is_refused(make_disk: MakeDisk, mount_root: Path) -> None:
    assert "too small" in await refusal(make_disk(64 * MIB), mount_root)


async def test_an_interrupted_look_is_cleaned_up(make_disk: MakeDisk, mount_root: Path) -> None:
    disk = make_disk(GIB)
    run("mkfs.btrfs", "-q", disk)
    look = mount_root / f".look-{disk.name}"
    look.mkdir(parents=True)
    run("mount", "-o", "ro", disk, look)
    pools = Pools([DiskConfig(disk)], mount_root)
    await pools.ensure()
    assert [pool.device for pool in pools.pools] == [disk]
    assert not look.exists()


async def test_without_an_ssd_the_tenant_is_told(make_disk: MakeDisk, mount_root: Path) -> None:
    pools = Pools([DiskConfig(make_disk(GIB), DiskClass.HDD)], mount_root)
    await pools.ensure()
    with pytest.raises(WorkloadError, match="no usable SSD"):
        await pools.check_room([MIB])
    capacity = await pools.capacity()
    assert (capacity.sru, capacity.hru) == (0, GIB)


async def test_capacity_has_a_reserve_and_room_is_checked_disk_by_disk(pools: Pools) -> None:
    capacity = await pools.capacity()
    assert (capacity.sru, capacity.hru, capacity.used_sru) == (3 * GIB, GIB, 0)
    assert 100 * MIB < capacity.reserved_sru < 600 * MIB
    await pools.check_room([GIB, GIB // 2])
    with pytest.raises(WorkloadError, match="not enough space left in pools of this type ssd"):
        await pools.check_room([2 * GIB])
    with pytest.raises(WorkloadError, match="not enough space"):
        await pools.check_room([GIB, GIB])


async def test_statistics_do_not_fail_because_one_pool_does(pools: Pools) -> None:
    gone = pools.pools[0]
    run("umount", gone.mount)
    assert [row.name for row in await pools.list()] == [pool.name for pool in pools.pools[1:]]
    assert (await pools.capacity()).reserved_sru > gone.size
