"""Read what the node was given for this boot, from every source, and keep it for the other stages."""

from __future__ import annotations

import os
import struct
import subprocess
import tempfile
from dataclasses import replace
from pathlib import Path

from images.boot import stage_file
from images.boot.settings import BootSettings, load_modes, read_settings
from images.boot.sources import Source, merge

CMDLINE = Path("/proc/cmdline")
FIRMWARE = Path("/sys/firmware/qemu_fw_cfg/by_name/opt/org.node/config/raw")
FILE_LABEL = b"NODECFG    "
FILE_NAME = "node.cfg"
MOST_FILE = 4096


def gather(block: Path = Path("/sys/class/block")) -> dict[Source, str]:
    """The texts of command line, firmware and file; a source that is not there is left out."""
    texts = {}
    for source, path in ((Source.COMMAND_LINE, CMDLINE), (Source.FIRMWARE, FIRMWARE)):
        text = _read(path)
        if text:
            texts[source] = text
    labelled = labelled_devices(block)
    if len(labelled) > 1:
        stage_file.write(
            "file-problem", {"text": f"{len(labelled)} file systems are labelled NODECFG: all ignored"}
        )
    elif labelled:
        texts[Source.FILE] = _from_file_system(labelled[0])
    return texts


def keep(texts: dict[Source, str]) -> None:
    """Write the texts down for the other stages."""
    stage_file.write("sources", {source.name: text for source, text in texts.items()})


def kept() -> dict[Source, str]:
    """The texts that were kept."""
    return {Source[name]: str(text) for name, text in stage_file.read("sources").items()}


def settings() -> BootSettings:
    """The settings by all sources that are known up to now."""
    found = read_settings(merge(kept()), load_modes())
    problem = stage_file.read("file-problem").get("text")
    if problem:
        found = replace(found, problems=(*found.problems, str(problem)))
    return found


def labelled_devices(block: Path) -> list[Path]:
    """Block devices that hold a FAT file system with our label; a partition of one that matched is no second one."""
    found: list[Path] = []
    for entry in sorted(block.iterdir()) if block.is_dir() else []:
        if entry.name.startswith(("loop", "ram", "dm-")):
            continue
        parent = entry.resolve().parent.name
        if any(device.name == parent for device in found):
            continue
        device = Path("/dev") / entry.name
        try:
            with device.open("rb") as file:
                if has_label(file.read(512)):
                    found.append(device)
        except OSError:
            continue
    return found


def has_label(sector: bytes) -> bool:
    """Whether a boot sector is that of a FAT file system labelled NODECFG (FAT12 and 16, or FAT32)."""
    if len(sector) < 512 or struct.unpack_from("<H", sector, 510)[0] != 0xAA55:
        return False
    return FILE_LABEL in (sector[43:54], sector[71:82])


def _from_file_system(device: Path) -> str:
    with tempfile.TemporaryDirectory() as folder:
        mounted = subprocess.run(
            ["mount", "-t", "vfat", "-o", "ro,nosuid,nodev,noexec", str(device), folder],
            capture_output=True, timeout=30, check=False,
        )  # fmt: skip
        if mounted.returncode != 0:
            return ""
        try:
            return _read(Path(folder) / FILE_NAME)
        finally:
            subprocess.run(["umount", folder], capture_output=True, timeout=30, check=False)


def _read(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    with os.fdopen(descriptor, "rb") as file:
        text = file.read(MOST_FILE).decode(errors="replace").strip("\0\n ")
    return " ".join(line for line in text.splitlines() if not line.lstrip().startswith("#"))
