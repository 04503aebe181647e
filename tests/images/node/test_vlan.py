"""A node whose network carries tags."""

from __future__ import annotations

from pathlib import Path

import pytest

from images.testnode.arguments import kernel_line
from tests.images.node.lab import BOOT_S, Lab
from tests.images.node.lan import FIRST, TAP, Lan
from tests.images.node.trunk import Trunk

pytestmark = [pytest.mark.root, pytest.mark.boots, pytest.mark.timeout(3600)]

VLAN = 302
PREFIX = FIRST.rpartition(".")[0]


def test_a_node_asks_and_runs_on_the_tag_that_it_was_given(lab: Lab, tmp_path: Path) -> None:
    lan = Lan(tmp_path / "lan", "farmer_id=66")
    try:
        trunk = Trunk(lan.name, TAP, VLAN)
        try:
            plain = lab.node("untagged", disks=0, nics=(trunk.address,))
            plain.up()
            plain.wait_for("error: no DHCP answer on eth0", BOOT_S)
            plain.power_cut()
            assert trunk.untagged > 0

            line = kernel_line(0, "dev", f"vlan:priv={VLAN} {lab.words}")
            tagged = lab.again(lab.node("tagged", disks=1, nics=(trunk.address,)), command_line=line)
            tagged.up()
            tagged.wait_for("zos: network: eth0", BOOT_S)
            tagged.wait_for("zos: farm 66 (DHCP)", BOOT_S)
            tagged.wait_for(f"zos: address zos {PREFIX}.", BOOT_S)
            tagged.power_cut()
        finally:
            trunk.close()
    finally:
        lan.close()
