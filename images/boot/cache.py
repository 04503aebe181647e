"""The node's own place on its disks: subvolume `zos-cache` of one pool, seen at `/var/cache`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from provisioners.system import btrfs
from provisioners.system.command import run
from provisioners.system.disk_class import DiskClass
from provisioners.system.pool import Pool

NAME = "zos-cache"
POINT = Path("/var/cache")
SIZE = 5 << 30
"""Bytes; it grows by as much when it is more than `FULL` full."""
FULL = 0.6
COUNTER = ".boots"
ALIVE = ".alive"


def eligible(pools: Sequence[Pool], missing_ssd: bool) -> list[Pool]:
    """Pools that may hold the cache, SSD first."""
    kinds = [DiskClass.SSD, *([DiskClass.HDD] if missing_ssd else [])]
    return [pool for kind in kinds for pool in pools if pool.type is kind]


async def ensure(pools: Sequence[Pool]) -> Path:
    """Mount the cache of the pool that was used last, or make one on the first.  Raises CommandFailed, OSError."""
    holders = [pool for pool in pools if (pool.mount / NAME).is_dir()]
    holders.sort(key=lambda pool: boots(pool.mount / NAME), reverse=True)
    chosen = holders[0] if holders else pools[0]
    folder = chosen.mount / NAME
    if not holders:
        await btrfs.create_subvolume(folder)
        await btrfs.limit(folder, SIZE)
    if not POINT.is_mount():
        count(folder)
        await run("mount", "--bind", str(folder), str(POINT))
        POINT.chmod(0o711)
    return folder


async def grow(folder: Path) -> None:
    """Give the cache more room when it is filling.  Raises CommandFailed, OSError."""
    identity = folder.stat().st_ino
    subvolume = next((one.id for one in await btrfs.subvolumes(folder.parent) if one.path == NAME), identity)
    for group in await btrfs.qgroups(folder.parent):
        if group.subvolume == subvolume and group.limit and group.referenced > group.limit * FULL:
            await btrfs.limit(folder, group.limit + SIZE)


def why_not_writable(folder: Path) -> str:
    """Why the node's own data cannot be written any more, by writing some; "" when they can."""
    fresh = folder / f"{ALIVE}.new"
    try:
        with fresh.open("w") as file:
            file.write("written\n")
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(folder / ALIVE)
    except OSError as problem:
        return f"read-only or failing ({problem.strerror}): replace the disk"
    return ""


def boots(folder: Path) -> int:
    """How often a node booted with this cache: of two, the higher one is the newer."""
    try:
        return int((folder / COUNTER).read_text()[:20])
    except (OSError, ValueError):
        return 0


def count(folder: Path) -> None:
    fresh = folder / f"{COUNTER}.new"
    with fresh.open("w") as file:
        file.write(str(boots(folder) + 1))
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(folder / COUNTER)
