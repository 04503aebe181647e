"""Where a node hears of its farm: network boot and DHCP."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from images.cache_folder import cache_folder
from images.debian import PackageCache
from images.testnode.arguments import Boot, kernel_line
from images.testnode.machine import make_disk
from tests.images.node.lab import BOOT_S, Lab
from tests.images.node.lan import IPXE, TAP, Lan
from tests.images.node.screen import GREEN, RED, YELLOW, wait_for_colours

pytestmark = [pytest.mark.root, pytest.mark.boots, pytest.mark.timeout(3600)]

DOWNLOAD_S = 900.0
"""From power-on by the network to the node's first line; the firmware and iPXE show nothing on the serial console."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "lan"


def test_firmware_words_win_over_a_stick_s_file_and_the_command_line_over_both(
    lab: Lab, tmp_path: Path
) -> None:
    """Each key by itself: farm by the firmware, VLAN by the file, run mode by the command line."""
    disk = make_disk(tmp_path / "nodecfg.img", 64 << 20)
    words = tmp_path / "node.cfg"
    words.write_text("farmer_id=88 runmode=prod node.host=cfg.test,10.9.8.7 missing-ssd vlan:pub=7777\n")
    for command in (
        ["mformat", "-i", str(disk), "-v", "NODECFG", "::"],
        ["mcopy", "-i", str(disk), str(words), "::"],
    ):
        subprocess.run(command, check=True, capture_output=True, timeout=60)
    before = disk.read_bytes()
    machine = lab.again(
        lab.node("sources", disks=0),
        disks=(disk,),
        firmware="farmer_id=77 runmode=test",
        command_line=kernel_line(0, "dev", lab.words),
    )
    machine.up()
    machine.wait_for("zos: farm 77 (firmware configuration)", BOOT_S)
    machine.wait_for("zos: run mode dev (command line)", BOOT_S)
    machine.wait_for("error: vlan:pub=7777 (node.cfg)", BOOT_S)
    machine.wait_for("error: no usable disk: /dev/vdb (left alone: too small", BOOT_S)
    machine.power_cut()
    assert disk.read_bytes() == before


def test_a_node_boots_from_the_loader_service_and_has_its_farm_from_dhcp(lab: Lab, folder: Path) -> None:
    lan = Lan(folder, "farmer_id=66 runmode=test ssh-user=somebody")
    try:
        lan.serve(lab.image)
        machine = lab.node(
            "netboot", disks=1, boot=Boot.NETWORK, nics=(TAP,), namespace=lan.name, screen=True
        )
        machine.up()
        machine.wait_for("zos: run mode dev (command line)", DOWNLOAD_S)
        machine.wait_for("zos: network: eth0 (", BOOT_S)
        machine.wait_for("zos: farm 66 (DHCP)", BOOT_S)
        machine.wait_for("error: DHCP may not set ssh-user: ignored", BOOT_S)
        machine.wait_for("error: no SSD, only HDD: add an SSD", BOOT_S)
        wait_for_colours(machine, {GREEN, YELLOW, RED})
        machine.power_cut()
    finally:
        lan.close()


@pytest.mark.parametrize("way", ["HTTP", "PXE"])
def test_a_firmware_boots_a_node_over_the_network_by_itself(
    lab: Lab, folder: Path, tmp_path: Path, way: str
) -> None:
    """HTTP boot loads the whole node as one program; PXE loads iPXE, which asks the loader service for the rest."""
    tftp = None
    if way == "PXE":
        tftp = tmp_path / "tftp"
        packages = PackageCache(cache_folder() / "debs")
        packages.unpack(packages.fetch(["ipxe"])["ipxe"], tmp_path / "ipxe")
        tftp.mkdir()
        shutil.copyfile(tmp_path / "ipxe/usr/lib/ipxe" / IPXE, tftp / IPXE)
    lan = Lan(folder, "farmer_id=67", tftp)
    try:
        lan.serve(lab.image)
        machine = lab.node(
            f"firmware-{way.lower()}", disks=1, boot=Boot.NETWORK_UEFI, nics=(TAP,), namespace=lan.name
        )
        machine.up()
        machine.wait_for("zos: run mode dev (command line)", DOWNLOAD_S)
        machine.wait_for("zos: farm 67 (DHCP)", BOOT_S)
        machine.power_cut()
        log = (folder / "dnsmasq.log").read_text()
        assert (f"sent {tftp}/{IPXE}" in log) == (way == "PXE")
    finally:
        lan.close()
