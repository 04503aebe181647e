"""Where a node hears of its farm: network boot and DHCP."""

from __future__ import annotations

from pathlib import Path

import pytest

from images.testnode.arguments import Boot
from tests.images.node.lab import BOOT_S, Lab
from tests.images.node.lan import TAP, Lan
from tests.images.node.screen import GREEN, RED, YELLOW, wait_for_colours

pytestmark = [pytest.mark.root, pytest.mark.boots, pytest.mark.timeout(3600)]

DOWNLOAD_S = 900.0
"""From power-on by the network to the node's first line; the firmware and iPXE show nothing on the serial console."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "lan"


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
