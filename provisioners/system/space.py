"""How much of a pool may be promised.  Pure.

A promise is a virtual disk (its bytes are taken at once) or the quota of a root volume (its bytes are taken as they
are written).  What was promised must never fail with "no space left", so what remains is counted from btrfs' real
free space, minus quotas that are not used up yet, minus room for metadata to grow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from provisioners.system.btrfs import Qgroup, Usage

GROWTH = 0.02
"""Part of the device that is kept free for metadata: splitting of extents, checksums, small files."""
MIN_GROWTH = 64 << 20
QUOTA_OVERHEAD = 0.1
"""A root volume's small files and folders lie in metadata, which btrfs keeps twice but counts once."""
ALIGN = 1 << 20
"""Sizes on disk are whole MiB."""


@dataclass(frozen=True, slots=True)
class PoolSpace:
    """One pool's books, bytes."""

    size: int
    """Of the device."""
    promised: int
    """Sizes of virtual disks and quotas of volumes, plus what unlimited volumes really use."""
    allocatable: int
    """May be promised now."""

    @property
    def reserve(self) -> int:
        """What the file system needs for itself: neither promised nor to be promised."""
        return max(0, self.size - self.promised - self.allocatable)


def rounded(size: int) -> int:
    """Whole MiB that hold `size` bytes."""
    return -(-size // ALIGN) * ALIGN


def backing(quota: int) -> int:
    """Bytes of real space to keep for a root volume of this quota."""
    return rounded(quota + int(quota * QUOTA_OVERHEAD))


def pool_space(usage: Usage, qgroups: Iterable[Qgroup], disks: Sequence[int]) -> PoolSpace:
    """Balance the books of a pool.

    `qgroups` are those of all subvolumes except the one that holds the virtual disks; `disks` the disks' sizes.
    """
    outstanding = 0
    promised = sum(disks)
    for group in qgroups:
        if group.limit:
            outstanding += max(0, backing(group.limit) - group.referenced)
            promised += group.limit
        else:
            promised += group.referenced
    metadata_free = usage.metadata_size - usage.metadata_used - usage.global_reserve
    growth = max(MIN_GROWTH, int(usage.device_size * GROWTH))
    still_to_keep = max(0, growth - int(metadata_free * usage.metadata_ratio))
    free = usage.unallocated + usage.data_size - usage.data_used
    allocatable = max(0, free - outstanding - still_to_keep)
    return PoolSpace(usage.device_size, promised, allocatable - allocatable % ALIGN)


def place(sizes: Iterable[int], room: Sequence[int]) -> int | None:
    """First size that does not fit when the largest goes first to the pool with the most room; None when all fit."""
    left = list(room)
    for size in sorted(sizes, reverse=True):
        best = max(range(len(left)), key=left.__getitem__, default=None)
        if best is None or left[best] < size:
            return size
        left[best] -= size
    return None
