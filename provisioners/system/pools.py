"""The node's pools: which disks were taken, which were left alone and why, and one lock over all allocation.

Only disks that the configuration names are looked at (decision 37).  One that is blank is formatted, one that is a
pool of a node is adopted, every other is left as it is and listed with the reason.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from provisioners.protocol import WorkloadError
from provisioners.system import block, btrfs
from provisioners.system.blank_disk import BlockFacts, why_not_blank, why_untouchable
from provisioners.system.command import CommandFailed
from provisioners.system.disk_class import DiskClass, decide, measure_access, needs_probe, parse_stored
from provisioners.system.pool import CLASS_FILE, ROOT_PREFIX, VDISKS, Pool
from provisioners.system.space import place

log = structlog.get_logger(__name__)

_LOOK = ".look-"
_MAX_CLASS_FILE = 64


@dataclass(frozen=True, slots=True)
class DiskConfig:
    """A disk that the operator gives to the node: best by `/dev/disk/by-id`; `type` overrides what we would decide."""

    path: Path
    type: DiskClass | None = None


@dataclass(frozen=True, slots=True)
class RefusedDisk:
    """A configured disk that is not used."""

    path: Path
    reason: str
    damaged: bool = False
    """It should have been a pool, but cannot be read or mounted."""


@dataclass(frozen=True, slots=True)
class PoolInfo:
    """A pool in figures, bytes; without `free` it is a row of `zos.storage.pools`."""

    name: str
    type: DiskClass
    size: int
    """Of the device."""
    used: int
    """Promised."""
    free: int
    """May still be promised; less than the difference, as the file system needs room for itself."""


@dataclass(frozen=True, slots=True)
class StorageCapacity:
    """What the pools give to the node's books, bytes."""

    sru: int
    """All SSD pools, as their devices are."""
    hru: int
    """All HDD pools."""
    reserved_sru: int
    """What the SSD pools keep for themselves; never for tenants."""
    used_sru: int
    """Promised on SSD pools."""


class DiskRefused(Exception):
    """Why one disk is not taken; ends as a `RefusedDisk`."""

    def __init__(self, reason: str, *, damaged: bool = False) -> None:
        super().__init__(reason)
        self.damaged = damaged


class Pools:
    """All pools of a node.  `allocation` is held by whoever promises space, from the check until the space is taken."""

    def __init__(self, disks: Sequence[DiskConfig], mount_root: Path) -> None:
        self._disks = tuple(disks)
        self._root = mount_root
        self._pools: dict[str, Pool] = {}
        self._refused: tuple[RefusedDisk, ...] = ()
        self.allocation = asyncio.Lock()

    @property
    def refused(self) -> tuple[RefusedDisk, ...]:
        """Configured disks that are not used, with the reasons, as of the last `ensure`."""
        return self._refused

    @property
    def pools(self) -> tuple[Pool, ...]:
        """Mounted pools, SSD first, in the order of the configuration."""
        return tuple(sorted(self._pools.values(), key=lambda pool: pool.type != DiskClass.SSD))

    @property
    def ssds(self) -> tuple[Pool, ...]:
        return tuple(pool for pool in self.pools if pool.type == DiskClass.SSD)

    def get(self, name: str) -> Pool | None:
        return self._pools.get(name)

    async def ensure(self) -> None:
        """Adopt or make a pool on every configured disk; one bad disk never stops the others.

        Safe to repeat; raises OSError only when the mount root itself cannot be made.
        """
        self._root.mkdir(parents=True, exist_ok=True, mode=0o711)
        pools: dict[str, Pool] = {}
        refused: list[RefusedDisk] = []
        for disk in self._disks:
            try:
                pool = await self._ensure_disk(disk, pools)
            except DiskRefused as refusal:
                refused.append(RefusedDisk(disk.path, str(refusal), refusal.damaged))
                log.warning("disk left alone", disk=str(disk.path), reason=str(refusal))
            else:
                pools[pool.name] = pool
        self._pools = pools
        self._refused = tuple(refused)

    async def list(self) -> list[PoolInfo]:
        """Every pool whose books can be read, SSD first."""
        rows = []
        for pool in self.pools:
            try:
                space = await pool.space()
            except (CommandFailed, OSError) as error:
                log.warning("pool cannot be read", pool=pool.name, error=str(error))
                continue
            rows.append(PoolInfo(pool.name, pool.type, pool.size, space.promised, space.allocatable))
        return rows

    async def capacity(self) -> StorageCapacity:
        """A pool that cannot be read counts with its size, all of it reserved."""
        reserved = used = 0
        for pool in self.ssds:
            try:
                space = await pool.space()
            except (CommandFailed, OSError) as error:
                log.warning("pool cannot be read", pool=pool.name, error=str(error))
                reserved += pool.size
                continue
            reserved += space.reserve
            used += space.promised
        return StorageCapacity(
            sru=sum(pool.size for pool in self.ssds),
            hru=sum(pool.size for pool in self.pools if pool.type == DiskClass.HDD),
            reserved_sru=reserved,
            used_sru=used,
        )

    async def check_room(self, sizes: Sequence[int]) -> None:
        """Look whether promises of these sizes would find a place now, each whole on one disk; takes nothing.

        Raises WorkloadError that names the first size that does not fit.
        """
        async with self.allocation:
            room = await self._room(settled=False)
            if place(sizes, list(room.values())) is None:
                return
            room = await self._room(settled=True)
            missing = place(sizes, list(room.values()))
        if missing is not None:
            raise self._no_room(missing, room)

    async def choose(self, size: int) -> Pool:
        """The SSD pool with the most room, if `size` bytes fit.  Call with `allocation` held.  Raises WorkloadError."""
        for settled in (False, True):
            room = await self._room(settled=settled)
            best = max(room, key=room.__getitem__, default=None)
            if best is not None and room[best] >= size:
                return best
        raise self._no_room(size, room)

    async def check_growth(self, pool: Pool, more: int) -> None:
        """Whether `more` bytes can be promised on this very pool.

        Call with `allocation` held.  Raises WorkloadError.
        """
        try:
            if (await pool.space()).allocatable >= more:
                return
            free = (await pool.settled_space()).allocatable
        except (CommandFailed, OSError) as error:
            raise WorkloadError(f"pool {pool.name} cannot be read now: {error}") from error
        if free < more:
            raise self._no_room(more, {pool: free})

    async def _room(self, *, settled: bool) -> dict[Pool, int]:
        room = {}
        for pool in self.ssds:
            try:
                space = await (pool.settled_space() if settled else pool.space())
            except (CommandFailed, OSError) as error:
                log.warning("pool cannot be read", pool=pool.name, error=str(error))
                continue
            room[pool] = space.allocatable
        return room

    @staticmethod
    def _no_room(size: int, room: dict[Pool, int]) -> WorkloadError:
        if not room:
            return WorkloadError(
                "this node has no usable SSD: disks and root file systems cannot be made here"
            )
        return WorkloadError(
            f"not enough space left in pools of this type ssd: {size} bytes are asked for on one disk, "
            f"at most {max(room.values())} are free; choose another node or a smaller size"
        )

    # -- one disk ------------------------------------------------------------------------------------------------

    async def _ensure_disk(self, disk: DiskConfig, taken: dict[str, Pool]) -> Pool:
        try:
            facts = await block.facts(disk.path)
            for pool in taken.values():
                if pool.device == facts.path:
                    raise DiskRefused(f"named twice: {facts.path} is already pool {pool.name}")
            if "btrfs" in facts.signatures and not facts.partitions:
                return await self._adopt(disk, facts, taken)
            return await self._format(disk, facts)
        except block.DeviceUnusable as error:
            raise DiskRefused(str(error)) from error

    async def _format(self, disk: DiskConfig, facts: BlockFacts) -> Pool:
        reason = why_not_blank(facts)
        if reason is not None:
            raise DiskRefused(reason)
        try:
            await btrfs.make_filesystem(facts.path)
            found = await btrfs.superblock(facts.path)
            log.info("disk formatted", disk=str(facts.path), pool=found.uuid)
            return await self._mounted(disk, facts, found.uuid)
        except (CommandFailed, OSError) as error:
            raise DiskRefused(f"cannot be made a pool: {error}", damaged=True) from error

    async def _adopt(self, disk: DiskConfig, facts: BlockFacts, taken: dict[str, Pool]) -> Pool:
        try:
            found = await btrfs.superblock(facts.path)
        except CommandFailed as error:
            raise DiskRefused(f"damaged btrfs {facts.filesystem_uuid}: {error}", damaged=True) from error
        if not found.intact:
            raise DiskRefused(f"damaged btrfs {found.uuid}: the superblock's checksum is wrong", damaged=True)
        if found.devices != 1:
            raise DiskRefused(f"part of a btrfs over {found.devices} devices; a pool has one disk")
        if found.uuid in taken:
            raise DiskRefused(f"copy of pool {found.uuid}, which {taken[found.uuid].device} already is")
        try:
            if str(self._root / found.uuid) in facts.mounts:
                return await self._mounted(disk, facts, found.uuid)
            await self._end_interrupted_look(facts)
            facts = await block.facts(facts.path)
            reason = why_untouchable(facts)
            if reason is not None:
                raise DiskRefused(reason)
            await self._require_pool(facts)
            return await self._mounted(disk, facts, found.uuid)
        except (CommandFailed, OSError) as error:
            raise DiskRefused(f"damaged btrfs {found.uuid}: cannot be used: {error}", damaged=True) from error

    async def _require_pool(self, facts: BlockFacts) -> None:
        """Look, without changing a bit, whether the file system is a node's pool and not somebody's own data."""
        target = self._root / f"{_LOOK}{facts.path.name}"
        target.mkdir(mode=0o700, exist_ok=True)
        await btrfs.mount_untouched(facts.path, target)
        try:
            names = {entry.name for entry in target.iterdir()}
        finally:
            await btrfs.unmount(target)
            target.rmdir()
        ours = CLASS_FILE in names or all(name == VDISKS or name.startswith(ROOT_PREFIX) for name in names)
        if not ours:
            raise DiskRefused(f"btrfs with data that is no pool of a node (no {CLASS_FILE} in it)")

    async def _end_interrupted_look(self, facts: BlockFacts) -> None:
        for point in map(Path, facts.mounts):
            if point.parent == self._root and point.name.startswith(_LOOK):
                await btrfs.unmount(point)

    async def _mounted(self, disk: DiskConfig, facts: BlockFacts, name: str) -> Pool:
        mount = self._root / name
        if str(mount) not in facts.mounts:
            mount.mkdir(mode=0o711, exist_ok=True)
            await btrfs.mount(facts.path, mount)
        if os.statvfs(mount).f_flag & os.ST_RDONLY:
            raise DiskRefused(f"damaged btrfs {name}: turned read-only after an error", damaged=True)
        mount.chmod(0o711)
        await btrfs.enable_quota(mount)
        type_ = await self._class(disk, facts, mount)
        pool = Pool(name, type_, facts.path, facts.size, mount)
        await pool.forget_stale_quotas()
        return pool

    async def _class(self, disk: DiskConfig, facts: BlockFacts, mount: Path) -> DiskClass:
        stored = _stored_class(mount)
        probe = None
        if needs_probe(
            override=disk.type, stored=stored, transport=facts.transport, behind_raid=facts.behind_raid
        ):
            probe = await measure_access(facts.path, facts.size)
        decided = decide(
            override=disk.type,
            stored=stored,
            transport=facts.transport,
            rotational=facts.rotational,
            behind_raid=facts.behind_raid,
            probe_us=probe,
        )
        if decided != stored:
            _store_class(mount, decided)
        return decided


def _stored_class(mount: Path) -> DiskClass | None:
    try:
        with (mount / CLASS_FILE).open("rb") as file:
            return parse_stored(file.read(_MAX_CLASS_FILE).decode(errors="replace"))
    except FileNotFoundError:
        return None


def _store_class(mount: Path, decided: DiskClass) -> None:
    fresh = mount / f"{CLASS_FILE}.new"
    with fresh.open("w") as file:
        file.write(decided.value)
        file.flush()
        os.fsync(file.fileno())
    fresh.chmod(0o644)
    fresh.rename(mount / CLASS_FILE)
