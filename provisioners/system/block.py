"""What the kernel says about a block device: sysfs, the mount table, and the signatures on the disk itself."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import stat
import struct
from pathlib import Path

from provisioners.system.blank_disk import BlockFacts
from provisioners.system.command import CommandFailed, run

_BLKGETSIZE64 = 0x80081272
_PROBE_TIMEOUT = 60.0
_BLKID_NOTHING = 2
_BLKID_AMBIVALENT = 8
_RAID_DRIVERS = {
    "megaraid_sas",
    "megaraid",
    "hpsa",
    "smartpqi",
    "aacraid",
    "arcmsr",
    "mpi3mr",
    "3w-sas",
    "3w-9xxx",
}
"""Host adapters that show RAID volumes as plain disks and hide their rotational flag (`scsi_host/*/proc_name`)."""


class DeviceUnusable(Exception):
    """A configured path is no block device, or nothing can be learnt about it."""


async def facts(path: Path) -> BlockFacts:
    """Look at a block device without writing to it.  Raises DeviceUnusable."""
    try:
        device = path.resolve(strict=True)
        number = device.stat()
    except OSError as error:
        raise DeviceUnusable(f"no such device: {error.strerror}") from error
    if not stat.S_ISBLK(number.st_mode):
        raise DeviceUnusable("not a block device")
    sys_folder = Path(f"/sys/dev/block/{os.major(number.st_rdev)}:{os.minor(number.st_rdev)}").resolve()
    disk = sys_folder if (sys_folder / "queue").is_dir() else sys_folder.parent
    partitions = _partitions(sys_folder)
    nodes = [device, *(device.parent / name for name in partitions)]
    busy, size = _open_exclusively(device)
    signatures, uuid = await _signatures(device)
    host = _adapter(disk)
    return BlockFacts(
        path=device,
        size=size,
        signatures=signatures,
        filesystem_uuid=uuid,
        partitions=partitions,
        holders=_holders(sys_folder),
        mounts=tuple(point for node in nodes for point in mount_points(node)),
        swapping=any(node in _swap_devices() for node in nodes),
        busy=busy,
        read_only=_flag(sys_folder / "ro"),
        removable=_flag(disk / "removable"),
        transport=transport_of(str(disk)),
        rotational=_flag(disk / "queue/rotational"),
        behind_raid=host in _RAID_DRIVERS,
    )


def mount_points(device: Path) -> list[str]:
    """Where a device is mounted in this mount namespace, as whole file system or as part of one."""
    number = device.stat().st_rdev
    own = f"{os.major(number)}:{os.minor(number)}"
    points = []
    for line in Path("/proc/self/mountinfo").read_text(errors="surrogateescape").splitlines():
        left, _, right = line.partition(" - ")
        fields, source = left.split(), _unescape(right.split()[1])
        # btrfs shows an anonymous device number, so its source has to be looked at too
        if fields[2] == own or (source.startswith("/") and os.path.realpath(source) == str(device)):
            points.append(_unescape(fields[4]))
    return points


def transport_of(sys_path: str) -> str:
    """How a disk is attached, read from its path in sysfs (pure)."""
    for mark, name in (
        ("/usb", "usb"),
        ("/nvme", "nvme"),
        ("/virtio", "virtio"),
        ("/ata", "sata"),
        ("/end_device-", "sas"),
        ("/virtual/block/loop", "loop"),
    ):
        if mark in sys_path:
            return name
    return ""


def _open_exclusively(device: Path) -> tuple[bool, int]:
    """(held by somebody else, size in bytes)."""
    busy = False
    try:
        descriptor = os.open(device, os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise DeviceUnusable(f"cannot be opened: {error.strerror}") from error
        busy = True
        descriptor = os.open(device, os.O_RDONLY | os.O_CLOEXEC)
    try:
        size = fcntl.ioctl(descriptor, _BLKGETSIZE64, bytes(8))
    finally:
        os.close(descriptor)
    return busy, int(struct.unpack("=Q", size)[0])


async def probe(path: Path) -> dict[str, str]:
    """What `blkid -p` finds on a device or in a file: `TYPE`, `PTTYPE`, `UUID` ...; empty when nothing.

    Several contradicting signatures are `TYPE` "ambivalent".  Raises CommandFailed.
    """
    try:
        output = await run(
            "blkid", "-p", "-o", "export", str(path), timeout=_PROBE_TIMEOUT, ok=(0, _BLKID_NOTHING)
        )
    except CommandFailed as error:
        if error.status == _BLKID_AMBIVALENT:
            return {"TYPE": "ambivalent"}
        raise
    return dict(line.split("=", 1) for line in output.splitlines() if "=" in line)


async def _signatures(device: Path) -> tuple[tuple[str, ...], str]:
    """(types of everything found, UUID of the file system).

    Two probes, because a wrong "blank" costs somebody's data: wipefs lists every magic, blkid the most likely.
    """
    try:
        wipefs = json.loads(await run("wipefs", "-n", "--json", str(device), timeout=_PROBE_TIMEOUT) or "{}")
        values = await probe(device)
    except (CommandFailed, json.JSONDecodeError) as error:
        raise DeviceUnusable(f"its signatures cannot be read: {error}") from error
    found = [str(entry["type"]) for entry in wipefs.get("signatures", [])]
    found += [values[key] for key in ("TYPE", "PTTYPE") if key in values]
    return tuple(dict.fromkeys(found)), values.get("UUID", "")


def _partitions(sys_folder: Path) -> tuple[str, ...]:
    return tuple(sorted(entry.parent.name for entry in sys_folder.glob("*/partition")))


def _holders(sys_folder: Path) -> tuple[str, ...]:
    folders = [
        sys_folder / "holders",
        *(entry.parent / "holders" for entry in sys_folder.glob("*/partition")),
    ]
    return tuple(sorted({entry.name for folder in folders if folder.is_dir() for entry in folder.iterdir()}))


def _adapter(disk: Path) -> str:
    """Driver of the SCSI host that the disk hangs on, or empty."""
    host = re.search(r"/(host\d+)/", f"{disk}/")
    if host is None:
        return ""
    try:
        return Path(f"/sys/class/scsi_host/{host[1]}/proc_name").read_text().strip()
    except OSError:
        return ""


def _swap_devices() -> set[Path]:
    try:
        lines = Path("/proc/swaps").read_text().splitlines()[1:]
    except OSError:
        return set()
    return {Path(_unescape(line.split()[0])) for line in lines}


def _flag(file: Path) -> bool:
    try:
        return file.read_text().strip() == "1"
    except OSError:
        return False


def _unescape(text: str) -> str:
    """Undo the octal escapes of the kernel's tables."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), text)
