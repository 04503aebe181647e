"""Root volumes: quota, freshness, deletion."""

from __future__ import annotations

import errno
from pathlib import Path

import pytest

from provisioners.protocol import WorkloadError
from provisioners.system.pools import DiskConfig, Pools
from provisioners.system.root_volumes import QuotaRootVolumes
from tests.host.storage.conftest import GIB, MIB, workload_id
from tests.host.storage.program import attempt, run

pytestmark = pytest.mark.root

GUEST = workload_id("vm")


@pytest.fixture
def roots(pools: Pools) -> QuotaRootVolumes:
    return QuotaRootVolumes(pools)


async def test_a_volume_is_fresh_until_its_content_is_complete(roots: QuotaRootVolumes) -> None:
    volume = await roots.ensure(GUEST, 200 * MIB)
    assert volume.fresh
    assert (await roots.ensure(GUEST, 200 * MIB)).fresh
    (volume.path / "etc").mkdir()
    await roots.commit(GUEST)
    await roots.commit(GUEST)
    again = await roots.ensure(GUEST, 200 * MIB)
    assert not again.fresh
    assert again.path == volume.path
    assert roots.inventory() == {GUEST}


async def test_writing_past_the_quota_fails_and_disturbs_nobody(roots: QuotaRootVolumes) -> None:
    volume = await roots.ensure(GUEST, 100 * MIB)
    other = await roots.ensure(workload_id("other"), 100 * MIB)
    with pytest.raises(OSError, match="quota") as failure:
        (volume.path / "big").write_bytes(bytes(200 * MIB))
    assert failure.value.errno == errno.EDQUOT
    (other.path / "small").write_bytes(bytes(50 * MIB))


async def test_a_root_survives_a_reboot(roots: QuotaRootVolumes, pools: Pools, mount_root: Path) -> None:
    volume = await roots.ensure(GUEST, 100 * MIB)
    (volume.path / "file").write_text("kept")
    await roots.commit(GUEST)
    for pool in pools.pools:
        run("umount", pool.mount)
    rebooted = Pools([DiskConfig(pool.device) for pool in pools.pools], mount_root)
    await rebooted.ensure()
    again = await QuotaRootVolumes(rebooted).ensure(GUEST, 100 * MIB)
    assert not again.fresh
    assert (again.path / "file").read_text() == "kept"


async def test_no_user_of_the_host_reaches_into_a_root(roots: QuotaRootVolumes) -> None:
    volume = await roots.ensure(GUEST, 100 * MIB)
    program = volume.path / "su"
    program.write_bytes(b"")
    program.chmod(0o4755)
    volume.path.chmod(0o755)
    answer = attempt("setpriv", "--reuid=65534", "--clear-groups", "cat", program)
    assert "Permission denied" in answer.stderr
    assert "nosuid" in attempt("findmnt", "-nT", program).stdout


async def test_deleting_takes_nested_subvolumes_along_and_may_be_repeated(roots: QuotaRootVolumes) -> None:
    volume = await roots.ensure(GUEST, 100 * MIB)
    run("btrfs", "subvolume", "create", volume.path / "a")
    (volume.path / "a/b").mkdir()
    run("btrfs", "subvolume", "create", volume.path / "a/b/c")
    await roots.delete(GUEST)
    await roots.delete(GUEST)
    assert not volume.path.exists()
    assert roots.inventory() == set()


async def test_quotas_count_as_promised_before_they_are_used(roots: QuotaRootVolumes, pools: Pools) -> None:
    await roots.ensure(GUEST, GIB)
    assert sum(row.used for row in await pools.list()) == GIB
    await roots.ensure(workload_id("second"), 600 * MIB)
    with pytest.raises(WorkloadError, match="not enough space left in pools of this type ssd"):
        await roots.ensure(workload_id("third"), GIB)
    assert roots.inventory() == {GUEST, workload_id("second")}
    await roots.delete(GUEST)
    await roots.ensure(workload_id("third"), GIB)


async def test_a_quota_follows_the_wanted_size(roots: QuotaRootVolumes) -> None:
    volume = await roots.ensure(GUEST, 100 * MIB)
    assert (await roots.ensure(GUEST, 200 * MIB)).size == 200 * MIB
    (volume.path / "big").write_bytes(bytes(150 * MIB))
    run("sync", "-f", volume.path)
    assert (await roots.ensure(GUEST, 50 * MIB)).size == 200 * MIB
    with pytest.raises(WorkloadError, match="not enough space"):
        await roots.ensure(GUEST, 4 * GIB)


async def test_a_volume_without_its_quota_gets_it(roots: QuotaRootVolumes) -> None:
    """A kill between the two steps of making one."""
    volume = await roots.ensure(GUEST, 100 * MIB)
    subvolume = volume.path.parent
    run("btrfs", "qgroup", "limit", "none", subvolume)
    await roots.ensure(GUEST, 100 * MIB)
    shown = attempt("btrfs", "qgroup", "show", "-r", "--raw", subvolume)
    assert str(100 * MIB) in shown.stdout


async def test_commit_needs_a_volume(roots: QuotaRootVolumes) -> None:
    with pytest.raises(LookupError):
        await roots.commit(GUEST)
