"""A raw disk image with one FAT partition that UEFI firmware boots from; made without loop devices."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from images.debian import run_tool

MIB = 1 << 20
SLACK = 8 * MIB
FALLBACK = "EFI/BOOT/BOOTX64.EFI"
DISK_GUID = "6e6f6465-0000-4000-8000-000000000001"
PARTITION_GUID = "6e6f6465-0000-4000-8000-000000000002"
FAT_SERIAL = "6e6f6465"
TIMEOUT_S = 300


def build(program: Path, target: Path, epoch: int) -> None:
    """Write the image.  Raises ImageError."""
    size = -(-(program.stat().st_size + SLACK) // MIB)
    target.unlink(missing_ok=True)
    with target.open("xb") as file:
        file.truncate((size + 2) * MIB)
    run_tool(
        ["sgdisk", "-o", "-n", f"1:2048:+{size}M", "-t", "1:ef00", "-c", "1:NODEBOOT",
         "-u", f"1:{PARTITION_GUID}", "-U", DISK_GUID, str(target)],
        TIMEOUT_S,
    )  # fmt: skip
    fill_fat(target, f"{target}@@1M", size * MIB // 512, {FALLBACK: program}, epoch, fat32=True)


def fill_fat(
    beside: Path, image: str, sectors: int, files: dict[str, Path], epoch: int, *, fat32: bool
) -> None:
    """Make a FAT file system and copy files into it, all with the same time.  Raises ImageError."""
    tree = beside.with_name(f"{beside.name}.tree")
    shutil.rmtree(tree, ignore_errors=True)
    for name, source in files.items():
        place = tree / name
        place.parent.mkdir(parents=True, exist_ok=True)
        os.link(source, place)
    for folder, _, names in os.walk(tree, topdown=False):
        for name in names:
            os.utime(os.path.join(folder, name), (epoch, epoch))
        os.utime(folder, (epoch, epoch))
    shape = ["-F"] if fat32 else []
    run_tool(
        ["mformat", "-i", image, "-T", str(sectors), *shape, "-H", "2048", "-N", FAT_SERIAL, "::"], TIMEOUT_S
    )
    tops = sorted({name.split("/")[0] for name in files})
    run_tool(
        ["mcopy", "-s", "-m", "-i", image, *(str(tree / top) for top in tops), "::/"],
        TIMEOUT_S,
        env={"TZ": "UTC", "MTOOLS_SKIP_CHECK": "1"},
    )
    shutil.rmtree(tree)
