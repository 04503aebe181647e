"""May this disk be made a pool?  The verdict alone, over facts that `block.py` reads.

Only a disk that shows nothing at all may be taken; for every other there is a reason that a person can act on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

MIN_DISK = 1 << 30
"""Bytes; a btrfs file system below this is all overhead."""

_PARTITION_TABLES = ("gpt", "dos", "PMBR", "mac", "sun", "sgi", "bsd", "atari")
_KNOWN = {
    "linux_raid_member": "member of md array",
    "LVM2_member": "LVM",
    "LVM1_member": "LVM",
    "swap": "swap",
    "swsuspend": "swap",
    "zfs_member": "ZFS",
    "crypto_LUKS": "encrypted (LUKS)",
    "ceph_bluestore": "Ceph",
    "bcache": "bcache",
    "ddf_raid_member": "member of a BIOS RAID",
    "isw_raid_member": "member of a BIOS RAID",
}


@dataclass(frozen=True, slots=True)
class BlockFacts:
    """What the kernel and the signature probes say about one block device."""

    path: Path
    """Resolved, such as `/dev/sda`."""
    size: int
    """Bytes."""
    signatures: tuple[str, ...] = ()
    """Types that `wipefs -n` and `blkid -p` report: `ext4`, `gpt`, `LVM2_member` ..."""
    filesystem_uuid: str = ""
    partitions: tuple[str, ...] = ()
    holders: tuple[str, ...] = ()
    """Devices stacked on top of it, such as `dm-0`."""
    mounts: tuple[str, ...] = ()
    """Mount points of the device or of one of its partitions."""
    swapping: bool = False
    busy: bool = False
    """An exclusive open failed: mounted in another namespace, or held by another program."""
    read_only: bool = False
    removable: bool = False
    transport: str = ""
    """`nvme`, `sata`, `sas`, `usb`, `virtio`, `loop` or empty."""
    rotational: bool = False
    behind_raid: bool = False


def why_untouchable(facts: BlockFacts) -> str | None:
    """The reason why the device must not even be mounted by us, whatever is on it; None when there is none."""
    if facts.mounts:
        return f"mounted at {facts.mounts[0]}" if facts.mounts[0] else "mounted"
    if facts.swapping:
        return "used as swap"
    if facts.holders:
        return f"in use by {', '.join(facts.holders)}"
    if facts.busy:
        return "in use elsewhere (another program or mount namespace holds it)"
    if facts.read_only:
        return "read-only"
    if facts.transport == "usb":
        return "USB disk"
    if facts.removable:
        return "removable"
    if facts.size < MIN_DISK:
        return f"too small: {facts.size} bytes, at least {MIN_DISK} are needed"
    return None


def why_not_blank(facts: BlockFacts) -> str | None:
    """The reason why the disk must not be formatted; None when it is blank."""
    reason = why_untouchable(facts)
    if reason is not None:
        return reason
    if facts.partitions:
        return f"partitions {', '.join(facts.partitions)}"
    if facts.signatures:
        return describe_signatures(facts.signatures)
    return None


def describe_signatures(signatures: Sequence[str]) -> str:
    """Name what lies on a disk in the words of people."""
    for signature in signatures:
        if signature not in _PARTITION_TABLES:
            return _KNOWN.get(signature, signature)
    table = next((name for name in _PARTITION_TABLES if name in signatures), signatures[0])
    return f"empty {'dos' if table == 'PMBR' else table} table"
