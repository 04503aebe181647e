"""One pool: a btrfs file system on one disk, mounted, with quotas on.

<mount root>/<file system UUID>/
    .seektime              the class, "ssd" or "hdd"
    vdisks/<workload id>   virtual disks (zmount), preallocated and without copy-on-write
    rootfs:<workload id>/  root volume of a guest, with a quota
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import structlog

from gridtypes import InvalidId, WorkloadId
from provisioners.system import btrfs
from provisioners.system.command import CommandFailed
from provisioners.system.disk_class import DiskClass
from provisioners.system.space import PoolSpace, pool_space

log = structlog.get_logger(__name__)

CLASS_FILE = ".seektime"
VDISKS = "vdisks"
ROOT_PREFIX = "rootfs:"
_SPACE_TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class Pool:
    """A mounted pool.  Its name is the UUID of the file system (decision 38)."""

    name: str
    type: DiskClass
    device: Path
    size: int
    """Bytes of the device."""
    mount: Path

    @property
    def vdisks(self) -> Path:
        return self.mount / VDISKS

    async def space(self) -> PoolSpace:
        """Balance the books anew.  Raises CommandFailed."""
        names = {subvolume.id: subvolume.path for subvolume in await btrfs.subvolumes(self.mount)}
        groups = [
            group
            for group in await btrfs.qgroups(self.mount)
            if group.subvolume in names and names[group.subvolume] != VDISKS
        ]
        return pool_space(await btrfs.usage(self.mount), groups, self._disk_sizes())

    async def settled_space(self) -> PoolSpace:
        """As `space`, after what was deleted has given its room back; does not wait for that for ever."""
        try:
            await btrfs.wait_for_space(self.mount, _SPACE_TIMEOUT)
        except CommandFailed as error:
            log.warning("deleted space is not back yet", pool=self.name, reason=str(error))
        return await self.space()

    async def forget_stale_quotas(self) -> None:
        """Destroy quota groups whose subvolume is gone; older kernels leave them behind."""
        alive = {subvolume.id for subvolume in await btrfs.subvolumes(self.mount)}
        for group in await btrfs.qgroups(self.mount):
            if group.subvolume not in alive:
                try:
                    await btrfs.destroy_qgroup(self.mount, group.subvolume)
                except CommandFailed:
                    continue  # its subvolume is still being cleaned up; the next start tries again

    def _disk_sizes(self) -> list[int]:
        try:
            with os.scandir(self.vdisks) as entries:
                return [entry.stat(follow_symlinks=False).st_size for entry in entries]
        except FileNotFoundError:
            return []


def written_id(name: str) -> WorkloadId | None:
    """The workload that a file or subvolume is named after; None when it is named otherwise."""
    try:
        workload = WorkloadId.parse(name)
    except InvalidId:
        return None
    return workload if str(workload) == name else None
