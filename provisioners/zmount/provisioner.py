"""Virtual disks as workloads: made, grown, found again after every restart, deleted."""

from __future__ import annotations

from pathlib import Path

from gridtypes import WorkloadId, WorkloadType
from gridtypes.results import ZMountResult
from gridtypes.workloads import ZMount
from provisioners.protocol import Context, Disk, InUse, PlacedWorkload, Unchanged, WorkloadError
from provisioners.system import ext4, vdisks
from provisioners.system.command import CommandFailed
from provisioners.system.pool import Pool
from provisioners.system.pools import Pools
from provisioners.system.space import rounded
from provisioners.zmount.record import DiskRecord


class ZMountProvisioner:
    """Implements `Provisioner`, `Updatable` and `DiskSource`.

    The owner file says on which pool the disk lies and whether it was once complete.  A disk that was complete and
    is not there now is an error, never an empty disk in its place.
    """

    type = WorkloadType.ZMOUNT

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    async def provision(self, ctx: Context, workload: PlacedWorkload) -> ZMountResult:
        size = _wanted_size(workload)
        async with self._pools.allocation:
            found = self._find(workload.id)
            if found is None:
                await self._create(ctx, workload.id, size)
            else:
                pool, path = found
                try:
                    await self._fit(pool, path, size)
                except Unchanged as refusal:
                    raise WorkloadError(str(refusal)) from refusal
                self._remember(ctx, workload.id, DiskRecord(pool.name, size, complete=True))
        return ZMountResult(volume_id=str(workload.id))

    async def update(self, ctx: Context, current: PlacedWorkload, wanted: PlacedWorkload) -> ZMountResult:
        """Grow a disk; the file system inside stays as it is.  Raises Unchanged."""
        size = _wanted_size(wanted)
        async with self._pools.allocation:
            found = self._find(wanted.id)
            if found is None:
                raise Unchanged(self._why_missing(ctx, wanted.id))
            pool, path = found
            if size != path.stat().st_size:
                if size > path.stat().st_size and vdisks.in_use(path):
                    raise Unchanged("disk is mounted, please delete the VM first")
                await self._fit(pool, path, size)
                self._remember(ctx, wanted.id, DiskRecord(pool.name, size, complete=True))
        return ZMountResult(volume_id=str(wanted.id))

    async def deprovision(self, ctx: Context, workload: WorkloadId) -> None:
        owner = ctx.owner_file(workload, self.type)
        found = self._find(workload)
        if found is not None and vdisks.in_use(found[1]):
            raise InUse(f"disk {workload} is mounted by a running VM")
        record = DiskRecord.read(owner)
        if record is not None and self._pools.get(record.pool) is None:
            raise WorkloadError(
                f"disk {workload} lies on pool {record.pool}, which is not there now; "
                "it is deleted when that disk is back"
            )
        if record is not None and record.complete:
            self._remember(ctx, workload, DiskRecord(record.pool, record.size, complete=False))
        for pool in self._pools.pools:
            await vdisks.delete(pool, str(workload))
        owner.remove()

    async def recover(self, ctx: Context, workload: PlacedWorkload) -> ZMountResult | None:
        found = self._find(workload.id)
        if found is None:
            return None
        pool, path = found
        size = _wanted_size(workload)
        if path.stat().st_size != size or not vdisks.fully_taken(path):
            return None
        self._remember(ctx, workload.id, DiskRecord(pool.name, size, complete=True))
        return ZMountResult(volume_id=str(workload.id))

    async def inventory(self, ctx: Context) -> set[WorkloadId]:
        on_disk = {workload for pool in self._pools.pools for workload in vdisks.owners(pool)}
        return ctx.owned(self.type) | on_disk

    async def disk(self, ctx: Context, zmount: WorkloadId) -> Disk:
        """The disk for a guest in container mode; it gets its ext4 the first time that somebody asks (decision 39)."""
        found = self._find(zmount)
        if found is None:
            raise WorkloadError(self._why_missing(ctx, zmount))
        path = found[1]
        if not vdisks.in_use(path):
            try:
                await ext4.ensure(path)
            except (CommandFailed, OSError) as error:
                raise WorkloadError(f"disk {zmount} cannot be formatted: {error}") from error
        return Disk(path, path.stat().st_size)

    async def _create(self, ctx: Context, workload: WorkloadId, size: int) -> None:
        record = DiskRecord.read(ctx.owner_file(workload, self.type))
        if record is not None and record.complete:
            raise WorkloadError(self._why_missing(ctx, workload))
        pool = await self._pools.choose(rounded(size))
        self._remember(ctx, workload, DiskRecord(pool.name, size, complete=False))
        try:
            await vdisks.create(pool, str(workload), size)
        except (OSError, CommandFailed) as error:
            raise WorkloadError(f"the disk of {size} bytes cannot be made: {error}") from error
        self._remember(ctx, workload, DiskRecord(pool.name, size, complete=True))

    async def _fit(self, pool: Pool, path: Path, size: int) -> None:
        """Grow a disk that is too small.  Raises Unchanged."""
        now = path.stat().st_size
        if size < now:
            raise Unchanged(f"not safe to shrink a disk: it has {now} bytes, {size} are asked for")
        if size == now and vdisks.fully_taken(path):
            return
        try:
            await self._pools.check_growth(pool, rounded(size - now))
            await vdisks.grow(path, size)
        except WorkloadError as error:
            raise Unchanged(f"the disk cannot grow where it lies: {error}") from error
        except OSError as error:
            raise Unchanged(f"the disk cannot be made {size} bytes large: {error.strerror}") from error

    def _find(self, workload: WorkloadId) -> tuple[Pool, Path] | None:
        for pool in self._pools.pools:
            path = vdisks.path_of(pool, str(workload))
            if path.is_file():
                return pool, path
        return None

    def _why_missing(self, ctx: Context, workload: WorkloadId) -> str:
        record = DiskRecord.read(ctx.owner_file(workload, self.type))
        if record is None or not record.complete:
            return f"disk {workload} does not exist"
        if self._pools.get(record.pool) is None:
            return f"disk {workload} lies on pool {record.pool}, which is not there now (failed or removed)"
        return (
            f"the file of disk {workload} is gone from pool {record.pool}; delete the workload to start anew"
        )

    def _remember(self, ctx: Context, workload: WorkloadId, record: DiskRecord) -> None:
        owner = ctx.owner_file(workload, self.type)
        if DiskRecord.read(owner) != record:
            record.write(owner)


def _wanted_size(workload: PlacedWorkload) -> int:
    data = workload.workload.load()
    if not isinstance(data, ZMount):
        raise TypeError(f"{workload.id} is a {workload.type}, not a zmount")
    if data.size <= 0:
        raise WorkloadError("invalid size")
    return int(data.size)
