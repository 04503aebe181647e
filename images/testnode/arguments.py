"""QEMU's command line for a test node.  Pure."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

OVMF_CODE = Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
OVMF_SECURE = Path("/usr/share/OVMF/OVMF_CODE_4M.secboot.fd")
"""Firmware that checks signatures; it needs a machine with system management mode."""
OVMF_VARS = Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
NODE_MEMORY = 3 << 30
"""Bytes; the chain refuses nodes below 2 GiB."""
DISK_SIZE = 120 << 30
"""Bytes of each sparse disk; the chain refuses nodes below 100 GiB of SSD."""
BUS = "scsi"
"""Where disks are plugged in while the machine runs."""
NOBODY = "127.0.0.1:9"
"""Where packets on a switch without a router go."""
_SERVER = "server=on,wait=off"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,31}")


class Boot(StrEnum):
    """What the machine boots from."""

    DIRECT = "direct"
    """Kernel and small initrd; the root image is a read-only disk."""
    INITRD = "initrd"
    """Kernel and one-file initrd."""
    UEFI = "uefi"
    """Raw disk image by UEFI firmware."""
    ISO = "iso"
    """ISO as a CD by BIOS firmware."""
    ISO_UEFI = "iso-uefi"
    """ISO as a CD by UEFI firmware."""
    USB = "usb"
    """ISO on a USB stick by BIOS firmware."""
    USB_UEFI = "usb-uefi"
    """Raw disk image on a USB stick by UEFI firmware."""
    NETWORK = "network"
    """iPXE in the first card, by BIOS firmware: the LAN says what is booted."""
    NETWORK_UEFI = "network-uefi"
    """UEFI firmware's own network boot, by HTTP or PXE: the LAN says what is booted."""


BY_UEFI = frozenset({Boot.UEFI, Boot.ISO_UEFI, Boot.USB_UEFI, Boot.NETWORK_UEFI})
"""Boots that have UEFI firmware."""
BY_NETWORK = frozenset({Boot.NETWORK, Boot.NETWORK_UEFI})
"""Boots that need no medium."""


@dataclass(frozen=True, slots=True)
class TestNode:
    """What the machine is made of."""

    name: str
    folder: Path
    image: Path
    boot: Boot = Boot.DIRECT
    disks: tuple[Path, ...] = ()
    nics: tuple[str, ...] = ("user",)
    """`user`: behind QEMU's own router; `later`: on a switch whose router `Machine.plug_router` brings;
    `none`: no card; `ADDRESS:PORT`: whoever takes frames there over TCP; everything else is the name of a tap."""
    command_line: str = ""
    memory: int = NODE_MEMORY
    processors: int = 2
    cpu: str = "max"
    """QEMU's processor model; `EPYC,svm=off` is one without virtualisation (`max` without it breaks C libraries)."""
    accelerator: str = "tcg"
    medium: Path | None = None
    """Image to boot from with `UEFI` and `ISO`; None: the one in `image`."""
    trusted: Path | None = None
    """PEM file: the UEFI firmware starts only what its certificates vouch for; the first one is the owner's.
    None: Secure Boot is off."""
    firmware: str = ""
    """Words for the node that QEMU's firmware configuration carries."""
    clock: str = ""
    """Time that the firmware's clock shows at power-on, as `2020-01-31T00:00:00` UTC; "" is the right one."""
    controllers: tuple[str, ...] = ()
    """Further storage controllers, by QEMU's names of them, with nothing behind them."""
    screen: bool = False
    """Whether there is a graphics card, of whose screen `Machine.picture` makes a picture."""
    namespace: str = ""
    """Network namespace that the machine's taps are in; "" is our own."""

    __test__ = False  # for pytest: no class of tests

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"node name {self.name!r}: use up to 32 of a-z, 0-9 and '-'")

    @property
    def console_log(self) -> Path:
        return self.folder / "console.log"

    @property
    def console_socket(self) -> Path:
        return self.folder / "console.sock"

    @property
    def monitor(self) -> Path:
        return self.folder / "monitor.sock"


def kernel_line(farm: int, mode: str, extra: str, *, screen: bool = False) -> str:
    """The kernel's command line for a direct boot; without farm and mode where they are 0 and ""."""
    words = ["console=ttyS0", *(["console=tty1"] if screen else []), "panic=60", "nomodeset"]
    words += [f"farmer_id={farm}"] if farm else []
    words += [f"runmode={mode}"] if mode else []
    return " ".join([*words, "zos-debug-vm", extra]).strip()


def command(node: TestNode) -> list[str]:
    """QEMU with everything that the node has."""
    tcg = ["-accel", "tcg,thread=multi,tb-size=256"]
    words = [
        *(["ip", "netns", "exec", node.namespace] if node.namespace else []),
        "qemu-system-x86_64", "-name", node.name, "-machine", "q35,smm=on" if node.trusted else "q35",
        "-cpu", node.cpu,
        *(["-accel", "kvm"] if node.accelerator == "kvm" else tcg),
        "-smp", str(node.processors), "-m", f"{node.memory >> 20}M",
        "-nodefaults", "-no-user-config", "-no-reboot", "-display", "none",
        "-uuid", machine_id(node.name), "-device", "virtio-rng-pci",
        "-chardev",
        f"socket,id=console,path={node.console_socket},{_SERVER},logfile={node.console_log},logappend=on",
        "-serial", "chardev:console",
        "-chardev", f"socket,id=monitor,path={node.monitor},{_SERVER}", "-mon", "chardev=monitor,mode=control",
    ]  # fmt: skip
    if node.clock:
        words += ["-rtc", f"base={node.clock}"]
    if node.screen:
        words += ["-device", "VGA"]
    if node.firmware:
        words += ["-fw_cfg", f"name=opt/org.node/config,string={node.firmware.replace(',', ',,')}"]
    words += _medium(node)
    words += ["-device", f"virtio-scsi-pci,id={BUS}"]
    for number, name in enumerate(node.controllers):
        # Without a name of its own, QEMU would call its bus as ours, and plug our disks into it.
        words += ["-device", f"{name},id=controller{number}"]
    for number, disk in enumerate(node.disks):
        words += [
            "-drive", f"file={disk},format=raw,if=none,id=disk{number},cache=writeback,discard=unmap",
            "-device", f"virtio-blk-pci,drive=disk{number},serial={disk.stem[:20]}",
        ]  # fmt: skip
    for number, nic in enumerate(node.nics):
        if nic != "none":
            words += _card(node, number, nic)
    return words


def _card(node: TestNode, number: int, nic: str) -> list[str]:
    words: list[str] = []
    if nic == "user":
        backend = f"user,id={card(number)}"
    elif nic == "later":
        backend = f"hubport,id={card(number)},hubid={number}"
        # A switch with a single port would not take packets, and the card would wait for ever.
        words = ["-netdev", f"socket,id=sink{number},udp={NOBODY},localaddr=127.0.0.1:0"]
        words += ["-netdev", f"hubport,id=sinkport{number},hubid={number},netdev=sink{number}"]
    elif ":" in nic:
        backend = f"socket,id={card(number)},connect={nic}"
    else:
        backend = f"tap,id={card(number)},ifname={nic},script=no,downscript=no"
    device = f"virtio-net-pci,netdev={card(number)},mac={mac(node.name, number)}"
    if node.boot in BY_NETWORK and number == 0:
        device += ",bootindex=0"
    if node.boot is Boot.NETWORK_UEFI:
        device += ",romfile="  # without iPXE in the card, the firmware has to do it
    return [*words, "-netdev", backend, "-device", device]


def card(number: int) -> str:
    """Name by which QEMU knows a card's cable."""
    return f"net{number}"


def _medium(node: TestNode) -> Sequence[str]:
    image = node.image
    if node.boot is Boot.NETWORK:
        return []
    if node.boot in (Boot.DIRECT, Boot.INITRD):
        initrd = image / ("initrd" if node.boot is Boot.INITRD else "initrd-small")
        words = ["-kernel", str(image / "vmlinuz"), "-initrd", str(initrd), "-append", node.command_line]
        if node.boot is Boot.DIRECT:
            words += [
                "-drive", f"file={image / 'root.img'},format=raw,if=none,id=root,readonly=on",
                "-device", "virtio-blk-pci,drive=root,serial=NODEROOT",
            ]  # fmt: skip
        return words
    words = []
    if node.boot in BY_UEFI:
        if node.trusted:
            words += ["-global", "driver=cfi.pflash01,property=secure,value=on"]
        code = OVMF_SECURE if node.trusted else OVMF_CODE
        words += [
            "-drive", f"if=pflash,format=raw,unit=0,readonly=on,file={code}",
            "-drive", f"if=pflash,format=raw,unit=1,file={node.folder / 'vars.fd'}",
        ]  # fmt: skip
    if node.boot is Boot.NETWORK_UEFI:
        return words
    if node.boot is Boot.UEFI:
        medium = node.medium or image / "node.img"
        return [
            *words, "-drive", f"file={medium},format=raw,if=none,id=medium,readonly=on",
            "-device", "virtio-blk-pci,drive=medium,bootindex=0",
        ]  # fmt: skip
    if node.boot in (Boot.USB, Boot.USB_UEFI):
        medium = node.medium or image / ("node.iso" if node.boot is Boot.USB else "node.img")
        return [
            *words, "-device", "qemu-xhci,id=usb",
            "-drive", f"file={medium},format=raw,if=none,id=medium,readonly=on",
            "-device", "usb-storage,bus=usb.0,drive=medium,bootindex=0",
        ]  # fmt: skip
    medium = node.medium or image / "node.iso"
    return [
        *words, "-drive", f"file={medium},format=raw,if=none,id=medium,media=cdrom,readonly=on",
        "-device", "ide-cd,bus=ide.0,drive=medium,bootindex=0",
    ]  # fmt: skip


def machine_id(name: str) -> str:
    """UUID of the machine, the same at every start."""
    digest = hashlib.md5(name.encode(), usedforsecurity=False).hexdigest()
    return f"{digest[:8]}-{digest[8:12]}-{digest[12:16]}-{digest[16:20]}-{digest[20:]}"


def mac(name: str, number: int) -> str:
    """MAC of a card, the same at every start, so that the node keeps its lease."""
    digest = hashlib.md5(f"{name} {number}".encode(), usedforsecurity=False).hexdigest()
    return "52:54:00:" + ":".join(digest[index : index + 2] for index in (0, 2, 4))
