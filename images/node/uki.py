"""One EFI program that holds kernel, initrd and command line: systemd's stub with four more sections."""

from __future__ import annotations

import struct
from pathlib import Path

from images.debian import ImageError, run_tool
from images.node.slot_text import command_line

BASE_LINE = "console=ttyS0 console=tty1 nomodeset panic=60"
"""Words of every node: the screen comes last, it is the kernel's own console."""
STUB = "usr/lib/systemd/boot/efi/linuxx64.efi.stub"
SECTIONS = {".osrel": 0x20000, ".cmdline": 0x30000, ".linux": 0x2000000, ".initrd": 0x4000000}


def build(stub: Path, kernel: Path, initrd: Path, version: str, epoch: int, target: Path) -> None:
    """Write the program to `target`.  Raises ImageError."""
    work = target.parent
    files = {
        ".osrel": work / "osrel",
        ".cmdline": work / "cmdline",
        ".linux": kernel,
        ".initrd": initrd,
    }
    files[".osrel"].write_text(f'ID=zos\nNAME="Grid node"\nVERSION_ID="{version}"\n')
    files[".cmdline"].write_bytes(command_line(BASE_LINE))
    arguments = []
    for name, address in SECTIONS.items():
        arguments += [
            "--add-section",
            f"{name}={files[name]}",
            "--change-section-vma",
            f"{name}={address:#x}",
        ]
    run_tool(["objcopy", *arguments, str(stub), str(target)], 300)
    for name in (".osrel", ".cmdline"):
        files[name].unlink()
    with target.open("r+b") as file:
        for offset, value in fixed_fields(file.read(4096), epoch):
            file.seek(offset)
            file.write(struct.pack("<I", value))


def fixed_fields(head: bytes, epoch: int) -> list[tuple[int, int]]:
    """(offset, value) of the fields in which the present time is: time stamp and checksum of the PE header."""
    (start,) = struct.unpack_from("<I", head, 0x3C)
    if head[start : start + 4] != b"PE\0\0":
        raise ImageError("objcopy made no EFI program: the stub is not what was expected")
    return [(start + 8, epoch & 0xFFFFFFFF), (start + 88, 0)]
