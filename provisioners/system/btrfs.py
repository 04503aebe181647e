"""btrfs by its own program: file systems, subvolumes, quota groups, usage.  Decides nothing.

Texts are those of btrfs-progs 6.2; the parsers are pure.  Every verb raises CommandFailed.
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass
from pathlib import Path

from provisioners.system.command import CommandFailed, run

_MOUNT_OPTIONS = "nosuid,nodev,noexec,noatime"
"""Tenants' files lie here: nothing on a pool is ever run, or opened as a device, by the node."""
_SLOW = 180.0
"""Seconds for what may replay a log or walk a large tree."""


@dataclass(frozen=True, slots=True)
class Superblock:
    """What a btrfs file system says about itself without being mounted."""

    uuid: str
    label: str
    devices: int
    intact: bool
    """Its checksum matches."""


@dataclass(frozen=True, slots=True)
class Subvolume:
    """`path` is relative to the top of the file system."""

    id: int
    path: str


@dataclass(frozen=True, slots=True)
class Qgroup:
    """Level-0 quota group of one subvolume, bytes; a limit of 0 means none."""

    subvolume: int
    referenced: int
    limit: int


@dataclass(frozen=True, slots=True)
class Usage:
    """How a file system's space is laid out, bytes.

    `metadata_*` and `global_reserve` count one copy; on the device they take `metadata_ratio` times as much.
    """

    device_size: int
    unallocated: int
    data_size: int
    data_used: int
    metadata_size: int
    metadata_used: int
    metadata_ratio: float
    global_reserve: int


async def make_filesystem(device: Path) -> None:
    """Format a blank disk, labelled with a random UUID.  Without force: mkfs.btrfs itself refuses a disk with data."""
    await run("mkfs.btrfs", "-q", "-L", str(uuid.uuid4()), str(device), timeout=_SLOW)


async def superblock(device: Path) -> Superblock:
    return parse_superblock(await run("btrfs", "inspect-internal", "dump-super", str(device)))


def parse_superblock(text: str) -> Superblock:
    """`btrfs inspect-internal dump-super`.  Raises CommandFailed when the fields are not there."""
    fields = dict(re.findall(r"^(\w+)[ \t]+(.*)$", text, re.MULTILINE))
    try:
        return Superblock(
            uuid=str(uuid.UUID(fields["fsid"].strip())),
            label=fields.get("label", "").strip(),
            devices=int(fields["num_devices"]),
            intact="[match]" in fields["csum"] and "[match]" in fields["magic"],
        )
    except (KeyError, ValueError) as error:
        raise CommandFailed(
            ["btrfs", "inspect-internal", "dump-super"], "no readable superblock", text
        ) from error


async def mount(device: Path, target: Path) -> None:
    await run("mount", "-t", "btrfs", "-o", _MOUNT_OPTIONS, str(device), str(target), timeout=_SLOW)


async def mount_untouched(device: Path, target: Path) -> None:
    """Mount for looking only; not even the log is replayed, so that the disk stays as it is."""
    options = f"ro,rescue=nologreplay,{_MOUNT_OPTIONS}"
    await run("mount", "-t", "btrfs", "-o", options, str(device), str(target), timeout=_SLOW)


async def unmount(target: Path) -> None:
    await run("umount", str(target))


async def enable_quota(mount: Path) -> None:
    """Safe to repeat."""
    await run("btrfs", "quota", "enable", str(mount))


async def create_subvolume(path: Path) -> None:
    await run("btrfs", "subvolume", "create", str(path))


async def delete_subvolume(path: Path) -> None:
    """Atomic; the space comes back later, see `wait_for_space`."""
    await run("btrfs", "subvolume", "delete", str(path))


async def subvolumes(mount: Path) -> list[Subvolume]:
    """All subvolumes, nested ones too."""
    return parse_subvolumes(await run("btrfs", "subvolume", "list", str(mount)))


def parse_subvolumes(text: str) -> list[Subvolume]:
    """`btrfs subvolume list`."""
    rows = re.findall(r"^ID (\d+) gen \d+ top level \d+ path (.+)$", text, re.MULTILINE)
    return [Subvolume(int(number), path) for number, path in rows]


async def limit(path: Path, size: int) -> None:
    """Set the quota of the subvolume at `path`."""
    await run("btrfs", "qgroup", "limit", str(size), str(path))


async def qgroups(mount: Path) -> list[Qgroup]:
    return parse_qgroups(await run("btrfs", "qgroup", "show", "-re", "--raw", str(mount)))


def parse_qgroups(text: str) -> list[Qgroup]:
    """`btrfs qgroup show -re --raw`; only level 0, without the top level."""
    rows = re.findall(r"^\s*0/(\d+)\s+(\d+)\s+\d+\s+(\d+|none)\s", text, re.MULTILINE)
    first_free_subvolume = 256
    return [
        Qgroup(int(number), int(referenced), 0 if maximum == "none" else int(maximum))
        for number, referenced, maximum in rows
        if int(number) >= first_free_subvolume
    ]


async def destroy_qgroup(mount: Path, subvolume: int) -> None:
    await run("btrfs", "qgroup", "destroy", f"0/{subvolume}", str(mount))


async def usage(mount: Path) -> Usage:
    return parse_usage(await run("btrfs", "filesystem", "usage", "-b", str(mount)))


def parse_usage(text: str) -> Usage:
    """`btrfs filesystem usage -b`.  Raises CommandFailed when a figure is missing."""

    def number(pattern: str) -> str:
        match = re.search(pattern, text, re.MULTILINE)
        if match is None:
            raise CommandFailed(
                ["btrfs", "filesystem", "usage"], f"nothing like {pattern!r} in the answer", text
            )
        return match[1]

    def total(kind: str, figure: str) -> int:
        return sum(int(size) for size in re.findall(rf"^{kind},\w+: .*?{figure}:(\d+)", text, re.MULTILINE))

    return Usage(
        device_size=int(number(r"Device size:\s+(\d+)")),
        unallocated=int(number(r"Device unallocated:\s+(\d+)")),
        data_size=total("Data", "Size"),
        data_used=total("Data", "Used"),
        metadata_size=total("Metadata", "Size"),
        metadata_used=total("Metadata", "Used"),
        metadata_ratio=float(number(r"Metadata ratio:\s+([\d.]+)")),
        global_reserve=int(number(r"Global reserve:\s+(\d+)")),
    )


async def sync(mount: Path) -> None:
    """Commit: everything written so far survives a power cut."""
    await run("btrfs", "filesystem", "sync", str(mount), timeout=_SLOW)


async def wait_for_space(mount: Path, timeout: float) -> None:
    """Wait until deleted files and subvolumes have given their space back, at most `timeout` seconds."""
    await run("btrfs", "filesystem", "sync", str(mount), timeout=timeout)
    await run("btrfs", "subvolume", "sync", str(mount), timeout=timeout)
