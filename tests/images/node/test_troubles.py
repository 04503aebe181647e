"""What goes wrong in a farm, what the screen says of it, and that it heals when the cause is gone."""

from __future__ import annotations

import pytest

from images.testnode.arguments import DISK_SIZE, kernel_line
from images.testnode.machine import make_disk
from tests.images.node.lab import BOOT_S, REGISTER_S, Lab
from tests.images.node.screen import GREEN, RED, YELLOW, wait_for_another_picture, wait_for_colours

pytestmark = [pytest.mark.root, pytest.mark.boots, pytest.mark.timeout(3600)]


def test_a_wrong_farm_and_mode_no_card_and_no_disk_are_said_and_nothing_registers(lab: Lab) -> None:
    known = lab.newest()
    line = kernel_line(0, "main", f"farmer_id=abc {lab.words}")
    machine = lab.again(lab.node("bare", disks=0, nics=()), command_line=line)
    machine.up()
    for sentence in (
        "zos: farm 0: the number given by command line cannot be used",
        "error: farmer_id=abc (command line): a farm is a number from 1 to 4294967295",
        "error: runmode=main (command line): unknown run mode",
        "error: no disk found: plug one in, and check AHCI or HBA mode",
        "error: no network card with a driver",
    ):
        machine.wait_for(sentence, BOOT_S)
    assert "identity:" not in machine.console().replace("zos: node 0", "")
    machine.down()
    assert lab.newest() == known


def test_cable_router_and_disk_may_come_late_and_the_cable_may_move(lab: Lab) -> None:
    known = lab.newest()
    machine = lab.node("patient", disks=0, nics=("later", "later"), screen=True)
    folder = machine.node.folder
    machine.up()
    for number in (0, 1):
        machine.cable(number, plugged=False)
    machine.wait_for("error: no cable: eth0, eth1 have no link", BOOT_S)
    machine.wait_for("error: no disk found: plug one in", BOOT_S)
    wait_for_colours(machine, {GREEN, RED})
    machine.picture(folder / "troubles.png")

    machine.cable(0, plugged=True)
    machine.wait_for("error: no DHCP answer on eth0", BOOT_S)
    machine.plug_router(0)
    machine.wait_for("zos: network: eth0 (", BOOT_S)
    machine.plug_disk(make_disk(folder / "late.img", DISK_SIZE))
    machine.wait_for("identity: a new identity", BOOT_S)
    node, twin = lab.registered(after=known)
    machine.wait_for(f"zos: node {node}   twin {twin}", REGISTER_S)
    machine.wait_for(f"zos: farm {lab.farm} testfarm (command line)", REGISTER_S)
    assert lab.version(twin)["zos"]
    wait_for_colours(machine, {GREEN}, without={RED, YELLOW})
    machine.picture(folder / "registered.png")
    for page, name in (("2", "log"), ("3", "disks"), ("4", "network")):
        machine.press(page)
        wait_for_another_picture(machine)
        machine.picture(folder / f"{name}.png")

    here = len(machine.console())
    machine.plug_router(1)
    machine.cable(1, plugged=True)
    machine.cable(0, plugged=False)
    machine.wait_for("zos: network: eth1 (", BOOT_S, here)
    assert lab.version(twin)["zos"]
    machine.down()
