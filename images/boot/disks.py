"""Which block devices of the machine are its disks, and what is said about the others.  Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_NO_DISK = re.compile(r"(loop|ram|zram|fd|sr|dm-|md|nbd|mtdblock|mmcblk\d+boot)")
STORAGE_CLASSES = {"0x0100", "0x0101", "0x0104", "0x0105", "0x0106", "0x0107", "0x0108", "0x0180"}
"""PCI classes of storage controllers, as sysfs shows the first four digits."""
_CLASS_NAMES = {
    "0x0100": "SCSI controller",
    "0x0101": "IDE controller",
    "0x0104": "RAID controller",
    "0x0105": "ATA controller",
    "0x0106": "SATA controller",
    "0x0107": "SAS controller",
    "0x0108": "NVMe controller",
    "0x0180": "storage controller",
}


@dataclass(frozen=True, slots=True)
class PciDevice:
    address: str
    kind: str
    """`class` of sysfs, such as `0x010601`."""
    vendor: str
    device: str
    driver: str = ""


@dataclass(frozen=True, slots=True)
class DiskLine:
    """One disk on the screen."""

    path: str
    taken: bool
    text: str


def is_disk(name: str) -> bool:
    """Whether a name of `/sys/block` can be a disk of the machine."""
    return not _NO_DISK.match(name)


def driverless(devices: Sequence[PciDevice]) -> list[str]:
    """Sentences about storage controllers that no driver looks after: disks behind them cannot be seen."""
    return [
        f"{_CLASS_NAMES[each.kind[:6]]} {each.vendor.removeprefix('0x')}:{each.device.removeprefix('0x')} "
        f"at {each.address} has no driver: its disks cannot be seen; set it to AHCI or HBA mode"
        for each in devices
        if each.kind[:6] in STORAGE_CLASSES and not each.driver
    ]


def pretty_size(size: int) -> str:
    """Bytes in decimal units, as disks are sold."""
    value, unit = float(size), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 1000 or unit == "TB":
            break
        value /= 1000
    return f"{value:.0f} {unit}" if value >= 10 or unit == "B" else f"{value:.1f} {unit}"


def why_no_cache(pools: Sequence[str], missing_ssd: bool, lines: Sequence[DiskLine]) -> str:
    """Why the node has no place for its own data; "" when it has one.  `pools` are the classes of the pools."""
    if "ssd" in pools or (missing_ssd and pools):
        return ""
    if pools:
        return "no SSD, only HDD: add an SSD, or make a stick with missing-ssd for an HDD-only node"
    if not lines:
        return "no disk found: plug one in, and check AHCI or HBA mode in the firmware"
    seen = ", ".join(f"{line.path} ({line.text})" for line in lines)
    return f"no usable disk: {seen}. Only a wiped disk is taken"
