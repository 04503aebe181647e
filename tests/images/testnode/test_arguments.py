"""The test node's machine, as QEMU is told."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from images.testnode.arguments import Boot, TestNode, command, kernel_line, mac, machine_id
from images.testnode.keep import load
from images.testnode.machine import Machine, TestNodeError, make_disk, running

NODE = TestNode(
    "one", Path("/f"), Path("/i"), disks=(Path("/f/disk0.img"),), command_line=kernel_line(7, "dev", "a=b")
)


def test_a_direct_boot_has_kernel_root_disk_and_the_farm() -> None:
    words = " ".join(command(NODE))
    assert "-kernel /i/vmlinuz -initrd /i/initrd-small" in words
    assert "farmer_id=7 runmode=dev zos-debug-vm a=b" in words
    assert "serial=NODEROOT" in words
    assert "file=/f/disk0.img" in words
    assert "-m 3072M" in words


def test_no_farm_is_no_word() -> None:
    assert "farmer_id" not in kernel_line(0, "dev", "")


def test_uefi_has_its_own_variables_and_the_medium_is_read_only() -> None:
    words = " ".join(command(replace(NODE, boot=Boot.UEFI)))
    assert "file=/f/vars.fd" in words
    assert "file=/i/node.img,format=raw,if=none,id=medium,readonly=on" in words
    assert "-kernel" not in words
    assert "media=cdrom" in " ".join(command(replace(NODE, boot=Boot.ISO)))
    assert "other.iso" in " ".join(command(replace(NODE, boot=Boot.ISO_UEFI, medium=Path("/other.iso"))))
    stick = " ".join(command(replace(NODE, boot=Boot.USB)))
    assert "usb-storage" in stick
    assert "node.iso" in stick
    assert "pflash" not in stick
    assert "pflash" in " ".join(command(replace(NODE, boot=Boot.USB_UEFI)))


def test_cards_and_machines_keep_their_names_over_restarts() -> None:
    assert mac("one", 0) == mac("one", 0) != mac("one", 1)
    assert machine_id("one") != machine_id("two")
    words = " ".join(command(replace(NODE, nics=("none", "tap7", "user"))))
    assert "ifname=tap7" in words
    assert words.count("virtio-net-pci") == 2


def test_names_that_are_no_names() -> None:
    with pytest.raises(ValueError, match="node name"):
        replace(NODE, name="../x")


def test_disks_are_sparse_and_kept(tmp_path: Path) -> None:
    disk = make_disk(tmp_path / "d/disk.img", 1 << 40)
    assert disk.stat().st_blocks == 0
    disk.write_bytes(b"kept")
    make_disk(disk, 1 << 40)
    assert disk.read_bytes() == b"kept"


def test_a_machine_that_cannot_start_says_why(tmp_path: Path) -> None:
    machine = Machine(replace(NODE, folder=tmp_path, disks=(), image=tmp_path))
    with pytest.raises(TestNodeError, match="No such file"):
        machine.up()
    assert machine.pid is None
    machine.power_cut()
    machine.down()


def test_a_pid_file_of_somebody_else_is_not_believed(tmp_path: Path) -> None:
    (tmp_path / "pid").write_text("1\n")
    assert running(tmp_path) is None


def test_cards_on_a_switch_without_a_router_and_in_a_namespace() -> None:
    words = command(replace(NODE, nics=("later",), namespace="lan"))
    assert words[:4] == ["ip", "netns", "exec", "lan"]
    assert "hubport,id=net0,hubid=0" in words
    assert "socket,id=net0,connect=127.0.0.1:7" in command(replace(NODE, nics=("127.0.0.1:7",)))
    network = " ".join(command(replace(NODE, nics=("tap0", "tap1"), boot=Boot.NETWORK)))
    assert network.count("bootindex=0") == 1
    assert "-kernel" not in network


def test_words_in_the_firmware_s_configuration_may_hold_commas() -> None:
    words = command(replace(NODE, firmware="node.host=a,10.0.0.1"))
    assert "name=opt/org.node/config,string=node.host=a,,10.0.0.1" in words


def test_a_screen_is_the_last_console() -> None:
    line = kernel_line(0, "", "a=b", screen=True)
    assert line == "console=ttyS0 console=tty1 panic=60 nomodeset zos-debug-vm a=b"
    assert "VGA" in command(replace(NODE, screen=True))
    assert "VGA" not in command(NODE)


def test_a_firmware_that_checks_signatures_has_system_management_mode() -> None:
    words = " ".join(command(replace(NODE, boot=Boot.UEFI, trusted=Path("/c.pem"))))
    assert "q35,smm=on" in words
    assert "OVMF_CODE_4M.secboot.fd" in words
    assert "property=secure,value=on" in words


def test_a_description_is_read_back(tmp_path: Path) -> None:
    full = replace(NODE, medium=Path("/m"), trusted=Path("/c"), firmware="a", screen=True, namespace="n")
    for node in (NODE, full):
        file = tmp_path / "machine.json"
        file.write_text(json.dumps(asdict(node), default=str))
        assert load(file) == node
