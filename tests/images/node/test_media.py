"""Every way in which a farmer can boot, until the node is registered and answers."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

import pytest

from images.testnode.arguments import Boot
from tests.images.node.lab import BOOT_S, REGISTER_S, Lab

pytestmark = [pytest.mark.root, pytest.mark.boots, pytest.mark.timeout(3600)]


@pytest.mark.parametrize(
    ("boot", "artefact"),
    [
        (Boot.INITRD, ""),
        (Boot.UEFI, "node.img"),
        (Boot.ISO, "node.iso"),
        (Boot.ISO_UEFI, "node.iso"),
        (Boot.USB, "node.iso"),
        (Boot.USB_UEFI, "node.img"),
        (Boot.USB_UEFI, "node.iso"),
    ],
)
def test_a_node_registers_from_every_medium_and_never_writes_it(lab: Lab, boot: Boot, artefact: str) -> None:
    name = "-".join([boot.value, *artefact.split(".")[1:]])
    medium = lab.medium(name, artefact) if artefact else None
    before = hashlib.sha256(medium.read_bytes()).digest() if medium else b""
    known = lab.newest()
    machine = lab.node(name, boot=boot, medium=medium)
    machine.up()
    node, twin = lab.registered(after=known)
    assert lab.version(twin)["zos"]
    machine.wait_for(f"zos: node {node}   twin {twin}", REGISTER_S)
    assert f"zos: farm {lab.farm} (command line)" in machine.console()
    machine.down()
    if medium:
        assert hashlib.sha256(medium.read_bytes()).digest() == before


def test_a_medium_may_come_late_and_a_damaged_one_is_refused(lab: Lab, tmp_path: Path) -> None:
    late, damaged = tmp_path / "late", tmp_path / "damaged"
    for folder, initrd in ((late, "initrd-small"), (damaged, "initrd")):
        folder.mkdir()
        shutil.copyfile(lab.image / "vmlinuz", folder / "vmlinuz")
        shutil.copyfile(lab.image / initrd, folder / "initrd")
    with (damaged / "initrd").open("r+b") as file:
        file.seek(-(10 << 20), os.SEEK_END)
        byte = file.read(1)[0]
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte ^ 1]))

    machine = lab.again(lab.node("late", disks=0, boot=Boot.INITRD), image=late)
    machine.up()
    machine.wait_for("no root image found yet: insert the boot medium", BOOT_S)
    medium = lab.medium("late", "node.iso")
    before = hashlib.sha256(medium.read_bytes()).digest()
    machine.plug_disk(medium)
    machine.wait_for("stage 1: root image by medium sda", BOOT_S)
    machine.wait_for("zos: disk /dev/sda: the boot medium", BOOT_S)
    machine.power_cut()
    assert hashlib.sha256(medium.read_bytes()).digest() == before

    machine = lab.again(lab.node("damaged", disks=0, boot=Boot.INITRD), image=damaged)
    machine.up()
    machine.wait_for("the root image is damaged (wrong checksum); restart in 20 s", BOOT_S)
    machine.wait_off(BOOT_S)
