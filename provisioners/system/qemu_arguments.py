"""The QEMU command line of one machine (`vm-qemu.md` §5): a pure function of what the machine is made of.

Files and taps are handed over as open descriptors, so that QEMU's user needs no right on any path but its own
folder, which is its working directory: sockets are named relative to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

PROGRAM = "qemu-system-x86_64"
MIB = 1024 * 1024

CONSOLE_SOCKET = "console.sock"
QMP_SOCKET = "qmp.sock"

SERIAL_LIMIT = 20
"""virtio-blk cuts longer serials (measured)."""
TAG_LIMIT = 36
"""Longest tag of a virtiofs share, in bytes."""
TCG_CACHE_MIB = 64
"""Translation cache of the emulator; its own default grows to 1 GiB for each machine."""


class Accelerator(Enum):
    """What runs the guest's instructions."""

    KVM = "kvm"
    TCG = "tcg"


@dataclass(frozen=True, slots=True)
class Drive:
    """A raw disk, found by the guest by its serial."""

    serial: str
    descriptor: int
    read_only: bool = False
    direct: bool = True
    """Past the host's page cache; the descriptor's file system has to allow it."""


@dataclass(frozen=True, slots=True)
class Share:
    """A folder of the host, offered by a virtiofsd that listens on `socket`."""

    tag: str
    socket: str


@dataclass(frozen=True, slots=True)
class Nic:
    """A network interface on an opened tap."""

    descriptor: int
    mac: str


@dataclass(frozen=True, slots=True)
class MachineParts:
    """Everything that one machine consists of."""

    name: str
    cpus: int
    memory: int
    """Bytes; rounded up to whole MiB."""
    accelerator: Accelerator
    kernel: int
    """Descriptor of the kernel image."""
    initrd: int
    command_line: str
    log: int
    """Descriptor, open for appending, that gets everything the serial console prints."""
    drives: Sequence[Drive] = ()
    shares: Sequence[Share] = ()
    nics: Sequence[Nic] = ()

    def descriptors(self) -> list[int]:
        """Descriptors that QEMU has to inherit."""
        drives = [drive.descriptor for drive in self.drives]
        nics = [nic.descriptor for nic in self.nics]
        return [self.kernel, self.initrd, self.log, *drives, *nics]


def arguments(machine: MachineParts) -> list[str]:
    """The whole command, program first.  Raises ValueError when a serial or tag is too long for QEMU."""
    return [
        PROGRAM,
        *_identity(machine),
        *_hardware(machine),
        *_boot(machine),
        *_file_sets(machine),
        *(word for share in machine.shares for word in _share(share)),
        *(word for drive in machine.drives for word in _drive(drive)),
        *(word for number, nic in enumerate(machine.nics) for word in _nic(number, nic)),
        *("-object", "rng-random,id=rng0,filename=/dev/urandom", "-device", "virtio-rng-pci,rng=rng0"),
        *("-device", "pvpanic-pci"),
        *_sockets(machine),
    ]


def command_line(accelerator: Accelerator) -> str:
    """Kernel arguments of a machine whose root is the share `vroot`."""
    words = ["console=ttyS0", "quiet", "panic=1", "reboot=t", f"zroot=virtiofs:{ROOT_TAG}"]
    if accelerator is Accelerator.TCG:
        # Emulation has no speculation to guard against, and the self-tests cost a tenth of the boot.
        words += ["mitigations=off", "cryptomgr.notests"]
    return " ".join(words)


ROOT_TAG = "vroot"


def cpu_model(accelerator: Accelerator) -> list[str]:
    """Options that choose accelerator and processor."""
    if accelerator is Accelerator.KVM:
        return ["-accel", "kvm", "-cpu", "host"]
    return ["-accel", f"tcg,thread=multi,tb-size={TCG_CACHE_MIB}", "-cpu", "max"]


def _identity(machine: MachineParts) -> list[str]:
    return [
        *("-name", f"guest={_escaped(machine.name)},process=zos-vm,debug-threads=on"),
        *("-nodefaults", "-no-user-config", "-msg", "timestamp=on"),
        *("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"),
    ]


def _hardware(machine: MachineParts) -> list[str]:
    size = f"{-(-machine.memory // MIB)}M"
    return [
        *("-machine", "q35,memory-backend=mem,usb=off,vmport=off,sata=off,smbus=off"),
        *("-object", f"memory-backend-memfd,id=mem,size={size},share=on"),
        *cpu_model(machine.accelerator),
        *("-m", size, "-smp", str(machine.cpus), "-display", "none"),
        *("-action", "reboot=shutdown,shutdown=poweroff,panic=exit-failure"),
    ]


def _boot(machine: MachineParts) -> list[str]:
    return [
        *("-kernel", f"/proc/self/fd/{machine.kernel}"),
        *("-initrd", f"/proc/self/fd/{machine.initrd}"),
        *("-append", machine.command_line),
    ]


def _file_sets(machine: MachineParts) -> list[str]:
    """Descriptors that QEMU opens by name (`/dev/fdset/N`, with N the descriptor's own number)."""
    sets = [machine.log, *(drive.descriptor for drive in machine.drives)]
    return [word for number in sets for word in ("-add-fd", f"fd={number},set={number}")]


def _share(share: Share) -> list[str]:
    if len(share.tag.encode()) > TAG_LIMIT:
        raise ValueError(f"share tag {share.tag!r} is longer than {TAG_LIMIT} bytes")
    tag = _escaped(share.tag)
    return [
        *("-chardev", f"socket,id=fs-{tag},path={_escaped(share.socket)}"),
        *("-device", f"vhost-user-fs-pci,chardev=fs-{tag},tag={tag}"),
    ]


def _drive(drive: Drive) -> list[str]:
    if len(drive.serial.encode()) > SERIAL_LIMIT:
        raise ValueError(f"disk serial {drive.serial!r} is longer than {SERIAL_LIMIT} bytes")
    options = [
        f"driver=raw,node-name={drive.serial}",
        f"file.driver=file,file.filename=/dev/fdset/{drive.descriptor}",
    ]
    if drive.direct:
        options.append("cache.direct=on,file.cache.direct=on,file.aio=native")
    if drive.read_only:
        # With the automatism QEMU would ask the set for a writable descriptor first.
        options.append("read-only=on,file.read-only=on,file.auto-read-only=off")
    return [
        *("-blockdev", ",".join(options)),
        *("-device", f"virtio-blk-pci,drive={drive.serial},serial={drive.serial}"),
    ]


def _nic(number: int, nic: Nic) -> list[str]:
    return [
        *("-netdev", f"tap,id=net{number},fd={nic.descriptor}"),
        *("-device", f"virtio-net-pci,netdev=net{number},mac={nic.mac},romfile="),
    ]


def _sockets(machine: MachineParts) -> list[str]:
    console = f"socket,id=con,path={CONSOLE_SOCKET},server=on,wait=off"
    return [
        *("-chardev", f"{console},logfile=/dev/fdset/{machine.log},logappend=on", "-serial", "chardev:con"),
        *(
            "-chardev",
            f"socket,id=mon,path={QMP_SOCKET},server=on,wait=off",
            "-mon",
            "chardev=mon,mode=control",
        ),
    ]


def _escaped(value: str) -> str:
    """A comma ends an option's value unless it is doubled."""
    return value.replace(",", ",,")
