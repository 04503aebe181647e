"""What a booted node does with disks that are not blank, that are damaged, and that move."""

from __future__ import annotations

import hashlib
import re
import subprocess
from pathlib import Path

import pytest

from images.testnode.arguments import DISK_SIZE
from images.testnode.machine import Machine, make_disk
from tests.images.node.lab import BOOT_S, GIB, Lab

pytestmark = [pytest.mark.root, pytest.mark.boots, pytest.mark.timeout(3600)]

SUPERBLOCK = 64 << 10
"""Where btrfs has its first superblock, bytes; the checksum covers what lies behind its first 32."""
CONTROLLERS = {"am53c974": "SCSI controller 1022:2020", "pvscsi": "SCSI controller 15ad:07c0"}
"""Two that QEMU has and the image has no driver for, and how the screen calls them."""


def test_what_lies_on_disks_is_named_and_kept_and_no_identity_is_made_beside_a_damaged_pool(
    lab: Lab, tmp_path: Path
) -> None:
    foreign = {
        _made(tmp_path / "table.img", "sgdisk", "--clear"): "empty gpt table",
        _made(tmp_path / "parted.img", "sgdisk", "--new=1:2048:+64M"): "partitions vdc1",
        _made(tmp_path / "ext4.img", "mkfs.ext4", "-q", "-F"): "ext4",
        _made(tmp_path / "swap.img", "mkswap"): "swap",
        _made(tmp_path / "other.img", "mkfs.btrfs", "-q", "--rootdir", str(_data(tmp_path / "data"))): (
            "btrfs with data that is no pool of a node"
        ),
    }
    damaged = _made(tmp_path / "damaged.img", "mkfs.btrfs", "-q")
    _flip(damaged, SUPERBLOCK + 0x100)
    before = {disk: _digest(disk) for disk in (*foreign, damaged)}

    machine = lab.again(
        lab.node("foreign", disks=0, screen=True), disks=tuple(foreign), controllers=tuple(CONTROLLERS)
    )
    machine.up()
    for letter, reason in zip("bcdef", foreign.values(), strict=True):
        machine.wait_for(f"zos: disk /dev/vd{letter}: left alone: {reason}", BOOT_S)
    here = machine.wait_for("zos: error: no usable disk: /dev/vdb (left alone: empty gpt table)", BOOT_S)
    said = machine.console()[here:].partition("\n")[0]
    for name in CONTROLLERS.values():
        assert f"{name} at " in said
    assert "has no driver: its disks cannot be seen" in said

    machine.plug_disk(damaged)
    machine.wait_for("zos: disk /dev/sda: left alone: damaged btrfs", BOOT_S)
    blank = make_disk(tmp_path / "blank.img", DISK_SIZE)
    machine.plug_disk(blank)
    machine.wait_for("zos: error: /dev/sda may hold this node's identity and cannot be read", BOOT_S)
    assert "a new identity" not in machine.console()
    machine.unplug_disk(damaged)
    machine.wait_for("zos: identity: a new identity, kept on every pool", BOOT_S)
    machine.power_cut()
    assert {disk: _digest(disk) for disk in before} == before


def test_disks_may_be_swapped_added_and_lost_and_the_node_stays_who_it_is(lab: Lab) -> None:
    machine = lab.node("moved", disks=3)
    one, two, three = machine.node.disks
    machine = lab.again(machine, disks=(one, two))
    machine.up()
    machine.wait_for("zos: identity: a new identity, kept on every pool", BOOT_S)
    who = _identity(machine, 0)
    pools = _pools(machine, 0, "bc")
    assert len(set(pools)) == 2
    machine.power_cut()

    here = len(machine.console())
    machine = lab.again(machine, disks=(three, two, one))
    machine.up()
    machine.wait_for("zos: identity: identity from cache, copy restored to pool ", BOOT_S, here)
    assert _identity(machine, here) == who
    again = _pools(machine, here, "bcd")
    assert again[1:] == pools[::-1]
    machine.power_cut()

    here = len(machine.console())
    machine = lab.again(machine, disks=(three,))
    machine.up()
    machine.wait_for(f"zos: identity: identity from pool {again[0]}, copy restored to cache", BOOT_S, here)
    assert _identity(machine, here) == who
    assert _pools(machine, here, "b") == again[:1]
    machine.power_cut()


def test_a_machine_with_the_disks_of_two_nodes_belongs_to_neither_until_one_is_taken_out(lab: Lab) -> None:
    machines, tags = [lab.node(name, disks=1) for name in ("left", "right")], []
    for machine in machines:
        machine.up()
        machine.wait_for("zos: identity: a new identity", BOOT_S)
        tags.append(_identity(machine, 0))
        machine.power_cut()
    assert tags[0] != tags[1]
    left, (foreign,) = machines[0], machines[1].node.disks
    foreign = foreign.rename(foreign.with_stem("right"))

    here = len(left.console())
    left.up()
    left.plug_disk(foreign)
    left.wait_for("zos: error: two identities on this machine's disks: ", BOOT_S, here)
    said = left.console()[here:].partition("two identities on this machine's disks: ")[2].partition("\n")[0]
    for tag in tags:
        assert f"carries {tag}" in said
    assert "Take the disks of one of them out" in said
    assert "zos: registration: the chain is asked" not in left.console()[here:]
    left.unplug_disk(foreign)
    left.wait_for("zos: identity: identity from cache", BOOT_S, here)
    assert _identity(left, here) == tags[0]
    left.wait_for("zos: registration: the chain is asked", BOOT_S, here)
    left.power_cut()

    right = lab.again(machines[1], disks=(foreign,))
    here = len(right.console())
    right.up()
    right.wait_for("zos: identity: identity from cache", BOOT_S, here)
    assert _identity(right, here) == tags[1]
    right.power_cut()


def _identity(machine: Machine, start: int) -> str:
    """The short name of the node's identity, as the screen says it behind position `start`."""
    found = _wait_for_match(machine, r"zos: node.*   identity ([0-9a-f]{8})\b", start)
    return found[1]


def _pools(machine: Machine, start: int, letters: str) -> list[str]:
    """Names of the pools on `/dev/vd<letter>`, as the screen says them behind position `start`."""
    return [
        _wait_for_match(
            machine, rf"zos: disk /dev/vd{letter}: ssd \d+ GB used, pool ([0-9a-f]{{8}})\b", start
        )[1]
        for letter in letters
    ]


def _wait_for_match(machine: Machine, pattern: str, start: int) -> re.Match[str]:
    def find(shown: str) -> int:
        found = re.search(pattern, shown)
        return found.start() if found else -1

    at = machine.wait_until(find, pattern, BOOT_S, start)
    found = re.search(pattern, machine.console()[at:])
    assert found is not None
    return found


def _made(disk: Path, *command: str) -> Path:
    make_disk(disk, GIB)
    subprocess.run([*command, str(disk)], check=True, capture_output=True, timeout=120)
    return disk


def _data(folder: Path) -> Path:
    folder.mkdir()
    (folder / "thesis.txt").write_text("three years of work\n")
    return folder


def _flip(disk: Path, offset: int) -> None:
    with disk.open("r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ 0xFF]))


def _digest(disk: Path) -> bytes:
    with disk.open("rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
