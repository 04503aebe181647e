"""QEMU's command line, from plain values."""

from __future__ import annotations

from dataclasses import replace

import pytest

from provisioners.system import qemu_arguments as qemu
from provisioners.system.qemu_arguments import Accelerator, Drive, MachineParts, Nic, Share

PARTS = MachineParts(
    name="7-1000-vm",
    cpus=2,
    memory=256 * qemu.MIB + 1,
    accelerator=Accelerator.TCG,
    kernel=10,
    initrd=11,
    command_line="console=ttyS0",
    log=12,
    drives=(Drive("zm0", 13), Drive("cidata", 14, read_only=True, direct=False)),
    shares=(Share("vroot", "fs0.sock"),),
    nics=(Nic(15, "02:00:00:00:00:07"),),
)


def option(words: list[str], name: str) -> str:
    return words[words.index(name) + 1]


def test_the_guest_gets_no_less_memory_than_asked_and_all_sizes_agree() -> None:
    words = qemu.arguments(PARTS)
    assert option(words, "-m") == "257M"
    assert option(words, "-object") == "memory-backend-memfd,id=mem,size=257M,share=on"
    assert "memory-backend=mem" in option(words, "-machine")


def test_nothing_is_there_by_default_and_everything_is_denied() -> None:
    words = qemu.arguments(PARTS)
    assert {"-nodefaults", "-no-user-config"} <= set(words)
    sandbox = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
    assert option(words, "-sandbox") == sandbox
    assert not [word for word in words if "tcp" in word or word in ("-usb", "-vga", "-vnc")]


def test_files_and_taps_are_handed_over_as_descriptors() -> None:
    words = qemu.arguments(PARTS)
    assert PARTS.descriptors() == [10, 11, 12, 13, 14, 15]
    assert option(words, "-kernel") == "/proc/self/fd/10"
    assert option(words, "-netdev") == "tap,id=net0,fd=15"
    assert [words[n + 1] for n, word in enumerate(words) if word == "-add-fd"] == [
        "fd=12,set=12",
        "fd=13,set=13",
        "fd=14,set=14",
    ]
    assert "/" not in option(words, "-pidfile") if "-pidfile" in words else True


def test_disks_are_told_apart_by_serial_and_a_read_only_one_stays_so() -> None:
    text = " ".join(qemu.arguments(PARTS))
    assert "virtio-blk-pci,drive=zm0,serial=zm0" in text
    assert "node-name=cidata,file.driver=file,file.filename=/dev/fdset/14,read-only=on" in text
    assert "discard=unmap" not in text  # it would give up the preallocation


def test_the_emulator_has_a_bounded_cache_and_kvm_the_host_processor() -> None:
    assert option(qemu.arguments(PARTS), "-accel") == "tcg,thread=multi,tb-size=64"
    words = qemu.arguments(replace(PARTS, accelerator=Accelerator.KVM))
    assert (option(words, "-accel"), option(words, "-cpu")) == ("kvm", "host")


def test_what_qemu_would_cut_is_refused() -> None:
    with pytest.raises(ValueError, match="longer than 20 bytes"):
        qemu.arguments(replace(PARTS, drives=(Drive("s" * 21, 13),)))
    with pytest.raises(ValueError, match="longer than 36 bytes"):
        qemu.arguments(replace(PARTS, shares=(Share("t" * 37, "fs0.sock"),)))


def test_a_comma_in_a_name_does_not_begin_an_option() -> None:
    words = qemu.arguments(replace(PARTS, name="vm,debug-threads=off"))
    assert option(words, "-name").startswith("guest=vm,,debug-threads=off,process=zos-vm")
