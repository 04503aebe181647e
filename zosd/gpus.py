"""Graphics cards that could be given to a machine, as the kernel lists them (node-api §4.3)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

PCI_DEVICES = Path("/sys/bus/pci/devices")
PCI_NAMES = Path("/usr/share/misc/pci.ids")
"""The public PCI id database, where it is installed."""
VGA = 0x030000
VENDORS = {0x1002: "Advanced Micro Devices, Inc. [AMD/ATI]", 0x10DE: "NVIDIA Corporation"}
INTEGRATED = "0000:00:"
"""Slots of what is part of the processor."""
MIB = 1 << 20
_MEMORY_WINDOW = 0x200
"""Bit of a PCI resource's flags."""


@dataclass(frozen=True, slots=True)
class Gpu:
    slot: str
    vendor_id: int
    device_id: int
    vendor: str
    device: str
    window: int
    """MiB of the largest memory window, which is not always that of the card's memory."""

    @property
    def id(self) -> str:
        return f"{self.slot}/{self.vendor_id:04x}/{self.device_id:04x}"


def list_gpus(devices: Path = PCI_DEVICES, names: Path = PCI_NAMES) -> list[Gpu]:
    """Cards of the two vendors whose cards can be passed on, by slot.  Raises OSError."""
    found = []
    for folder in sorted(devices.iterdir()) if devices.is_dir() else ():
        vendor = _number(folder / "vendor")
        if folder.name.startswith(INTEGRATED) or vendor not in VENDORS or _number(folder / "class") != VGA:
            continue
        device = _number(folder / "device")
        parts = (device, _number(folder / "subsystem_vendor"), _number(folder / "subsystem_device"))
        found.append(
            Gpu(folder.name, vendor, device, VENDORS[vendor], _name(names, vendor, *parts), _window(folder))
        )
    return found


def _number(file: Path) -> int:
    try:
        return int(file.read_text(), 16)
    except (FileNotFoundError, ValueError):
        return 0


def _window(folder: Path) -> int:
    largest = 0
    try:
        lines = (folder / "resource").read_text().splitlines()
    except FileNotFoundError:
        return 0
    for line in lines:
        start, end, flags = (int(part, 16) for part in line.split())
        if flags & _MEMORY_WINDOW and end > start:
            largest = max(largest, end - start + 1)
    return largest // MIB


def _name(names: Path, vendor: int, device: int, board_vendor: int, board: int) -> str:
    """Name of the board, else of the chip, in the PCI id database; `unknown` when it is in neither."""
    if not names.is_file():
        return "unknown"
    chip, in_vendor, in_device = "unknown", False, False
    for line in names.read_text(encoding="utf-8", errors="replace").splitlines():
        if not line or line.startswith("#"):
            continue
        if not line.startswith("\t"):
            in_vendor, in_device = line.startswith(f"{vendor:04x} "), False
        elif in_vendor and not line.startswith("\t\t"):
            in_device = line.startswith(f"\t{device:04x} ")
            chip = line[5:].strip() if in_device else chip
        elif in_device and line.startswith(f"\t\t{board_vendor:04x} {board:04x} "):
            return line[11:].strip().lstrip()
    return chip
