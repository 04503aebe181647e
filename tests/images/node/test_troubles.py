"""What goes wrong in a farm, what the screen says of it, and that it heals when the cause is gone."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from images.testnode.arguments import DISK_SIZE, kernel_line
from images.testnode.machine import make_disk
from tests.images.node.lab import BOOT_S, GIB, REGISTER_S, Lab
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


def test_hard_disks_alone_no_chain_a_wrong_farm_and_no_virtualisation_are_said_and_heal(
    lab: Lab, tmp_path: Path
) -> None:
    known = lab.newest()
    wrong = lab.farm + 1
    machine = lab.node("poor", disks=0, cpu="EPYC,svm=off")
    used = [_foreign(tmp_path / f"used{number}.img") for number in range(2)]
    hard_disk = make_disk(tmp_path / "hard.img", DISK_SIZE)
    machine = lab.again(machine, disks=(*used, hard_disk), command_line=kernel_line(wrong, "dev", lab.words))
    lab.chain.kill()
    machine.up()
    machine.wait_for("zos: disk /dev/vdd: hdd ", BOOT_S)
    machine.wait_for("zos: error: no SSD, only HDD: add an SSD", BOOT_S)
    assert "identity:" not in machine.console()
    disk = make_disk(tmp_path / "ssd.img", DISK_SIZE)
    machine.plug_disk(disk)
    machine.wait_for("zos: identity: a new identity, kept on every pool", BOOT_S)
    machine.wait_for("virtualisation is off, machines run slowly: switch VT-x, AMD-V or SVM on", BOOT_S)
    machine.wait_for("zos: error: registration: ", REGISTER_S)

    here = len(machine.console())
    lab.chain.start()
    machine.wait_for(f"zos: error: registration: farm {wrong} does not exist", REGISTER_S, here)
    assert lab.newest() == known
    assert lab.another_farm() == wrong
    node, twin = lab.registered(after=known)
    machine.wait_for(f"zos: node {node}   twin {twin}", REGISTER_S, here)
    assert lab.version(twin)["zos"]

    here = len(machine.console())
    machine.unplug_disk(disk)
    machine.wait_for("zos: error: no SSD, only HDD: add an SSD", REGISTER_S, here)
    machine.power_cut()
    here = len(machine.console())
    machine = lab.again(machine, disks=(*used, hard_disk, disk))
    machine.up()
    machine.wait_for(f"zos: node {node}   twin {twin}", REGISTER_S, here)
    assert lab.version(twin)["zos"]
    machine.power_cut()


def test_a_clock_that_is_years_behind_is_said_until_it_is_set(lab: Lab) -> None:
    known = lab.newest()
    machine = lab.again(lab.node("behind"), clock="2020-01-01T00:00:00")
    machine.up()
    node, twin = lab.registered(after=known)
    machine.wait_for(f"zos: node {node}   twin {twin}", REGISTER_S)
    machine.wait_until(_clock_behind, "the clock is behind the chain", REGISTER_S)
    machine.power_cut()

    here = len(machine.console())
    machine = lab.again(machine, clock="")
    machine.up()
    machine.wait_for(f"zos: node {node}   twin {twin}", REGISTER_S, here)
    assert lab.version(twin)["zos"]
    assert _clock_behind(machine.console()[here:]) < 0
    machine.down()


def _clock_behind(shown: str) -> int:
    found = re.search(r"zos: error: clock: \d+ s behind the chain", shown)
    return found.start() if found else -1


def _foreign(disk: Path) -> Path:
    make_disk(disk, GIB)
    subprocess.run(["mkfs.ext4", "-q", "-F", str(disk)], check=True, capture_output=True, timeout=120)
    return disk
