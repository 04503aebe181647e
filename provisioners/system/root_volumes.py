"""Root volumes: a subvolume with a quota for each guest's root file system, on the SSD pools.

rootfs:<workload id>/      the subvolume; mode 0700, so that no user of the host reaches a program in it
    root/                  the guest's root, the only part that it sees
    complete               exists once the content was completed (`commit`)
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gridtypes import WorkloadId
from provisioners.protocol import RootVolume, WorkloadError
from provisioners.system import btrfs
from provisioners.system.command import CommandFailed
from provisioners.system.pool import ROOT_PREFIX, Pool, written_id
from provisioners.system.pools import Pools
from provisioners.system.space import backing

_ROOT = "root"
_COMPLETE = "complete"


class QuotaRootVolumes:
    """Implements `provisioners.protocol.RootVolumes`.

    A guest's volume is looked for on every pool, so that it is found again wherever it was made.
    """

    def __init__(self, pools: Pools) -> None:
        self._pools = pools

    async def ensure(self, guest: WorkloadId, size: int) -> RootVolume:
        """Ensure a volume of `size` bytes.  One that holds more than a smaller `size` keeps its quota.

        Raises WorkloadError when no pool has the room.
        """
        if size <= 0:
            raise WorkloadError(f"root file system of {size} bytes: the size has to be positive")
        try:
            async with self._pools.allocation:
                found = self._find(guest)
                if found is None:
                    pool = await self._pools.choose(backing(size))
                    subvolume = self._path(pool, guest)
                    await btrfs.create_subvolume(subvolume)
                    subvolume.chmod(0o700)
                    await btrfs.limit(subvolume, size)
                else:
                    pool, subvolume = found
                    subvolume.chmod(0o700)
                    size = await self._ensure_limit(pool, subvolume, size)
        except CommandFailed as error:
            raise WorkloadError(f"the root file system's volume cannot be made: {error}") from error
        root = subvolume / _ROOT
        root.mkdir(mode=0o755, exist_ok=True)
        return RootVolume(root, size, fresh=not (subvolume / _COMPLETE).exists())

    async def commit(self, guest: WorkloadId) -> None:
        """Make the content durable, then record it.  Raises LookupError when there is no such volume."""
        found = self._find(guest)
        if found is None:
            raise LookupError(f"{guest} has no root volume to commit")
        pool, subvolume = found
        if (subvolume / _COMPLETE).exists():
            return
        await btrfs.sync(pool.mount)
        (subvolume / _COMPLETE).touch(mode=0o600)
        await btrfs.sync(pool.mount)

    async def delete(self, guest: WorkloadId) -> None:
        """Delete the volume with every subvolume nested in it; safe to repeat."""
        found = self._find(guest)
        if found is None:
            return
        pool, subvolume = found
        try:
            nested = [
                entry.path
                for entry in await btrfs.subvolumes(pool.mount)
                if entry.path.startswith(f"{subvolume.name}/")
            ]
            for path in sorted(nested, key=lambda path: path.count("/"), reverse=True):
                await btrfs.delete_subvolume(pool.mount / path)
            await btrfs.delete_subvolume(subvolume)
        except CommandFailed as error:
            raise WorkloadError(f"the root file system's volume cannot be deleted: {error}") from error

    def inventory(self) -> set[WorkloadId]:
        """Guests that have a root volume on a pool of this node."""
        return {guest for pool in self._pools.pools for guest in self._guests(pool)}

    async def _ensure_limit(self, pool: Pool, subvolume: Path, size: int) -> int:
        """Set the quota to `size`; returns what it is then."""
        group = await self._group(pool, subvolume)
        if group.limit == size:
            return size
        if size < group.limit and group.referenced > size:
            return group.limit
        if size > group.limit:
            await self._pools.check_growth(pool, backing(size) - backing(group.limit))
        await btrfs.limit(subvolume, size)
        return size

    @staticmethod
    async def _group(pool: Pool, subvolume: Path) -> btrfs.Qgroup:
        number = next(
            (entry.id for entry in await btrfs.subvolumes(pool.mount) if entry.path == subvolume.name), None
        )
        for group in await btrfs.qgroups(pool.mount):
            if group.subvolume == number:
                return group
        raise CommandFailed(["btrfs", "qgroup", "show"], f"no quota group for {subvolume.name}")

    def _find(self, guest: WorkloadId) -> tuple[Pool, Path] | None:
        for pool in self._pools.pools:
            path = self._path(pool, guest)
            if path.is_dir():
                return pool, path
        return None

    @staticmethod
    def _path(pool: Pool, guest: WorkloadId) -> Path:
        return pool.mount / f"{ROOT_PREFIX}{guest}"

    @staticmethod
    def _guests(pool: Pool) -> Iterator[WorkloadId]:
        for entry in pool.mount.iterdir():
            guest = written_id(entry.name.removeprefix(ROOT_PREFIX))
            if guest is not None and entry.name.startswith(ROOT_PREFIX):
                yield guest
