"""From the call to a guest that answers ping: the provisioner beside the same guest started by bare QEMU.

python -m tests.bench.bench_zmachine [RUNS]

Both boot the same kernel and initrd with the same root, disk and tap.  "Bare" is a virtiofsd and a QEMU started from
here as root, with the root unpacked and the configuration disk written beforehand; the provisioner does all of that
within the measured time.  Runs alternate; the ratio is of the medians, taken in one run.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
from ipaddress import IPv4Address
from pathlib import Path

from provisioners.protocol import GuestNic
from provisioners.system import virtiofsd
from provisioners.system.qemu_arguments import Accelerator, command_line, cpu_model
from provisioners.system.tap_queue import open_tap
from provisioners.zmachine import ZMachineProvisioner, config_disk
from provisioners.zmachine.guest_config import GuestConfig
from tests.host.zmachine.lab import GUEST, IMAGE, Lab, close_lab, machine, open_lab, workload_id

RUNS = 5
ADDRESS = "10.20.2.7"
MEMORY = "256M"
COMMAND = ("/sbin/zinit", "init")


def bare_command(
    accelerator: Accelerator, root_socket: Path, seed: Path, nic: GuestNic, tap: int
) -> list[str]:
    """QEMU as a person would start it, without anything that a node adds."""
    return [
        *("qemu-system-x86_64", "-nodefaults", "-display", "none", "-m", MEMORY, "-smp", "1"),
        *("-machine", "q35,memory-backend=mem"),
        *("-object", f"memory-backend-memfd,id=mem,size={MEMORY},share=on"),
        *cpu_model(accelerator),
        *("-kernel", str(GUEST / "vmlinuz"), "-initrd", str(GUEST / "initrd")),
        *("-append", command_line(accelerator)),
        *(
            "-chardev",
            f"socket,id=fs0,path={root_socket}",
            "-device",
            "vhost-user-fs-pci,chardev=fs0,tag=vroot",
        ),
        *("-drive", f"if=none,id=seed,file={seed},format=raw,readonly=on"),
        *("-device", "virtio-blk-pci,drive=seed,serial=cidata"),
        *("-netdev", f"tap,id=n0,fd={tap}", "-device", f"virtio-net-pci,netdev=n0,mac={nic.mac},romfile="),
        *("-serial", f"file:{seed.parent}/console.log"),
    ]


async def bare(lab: Lab, accelerator: Accelerator) -> float:
    """Seconds from starting the two programs to the first answered ping."""
    id = workload_id("bare")
    folder = lab.paths.run / "bare"
    folder.mkdir(exist_ok=True)
    volume = await lab.roots.ensure(id, 0)
    if volume.fresh:
        await lab.images.unpack(IMAGE, volume.path)
        await lab.roots.commit(id)
    nic = await lab.bridge.attach(id, IPv4Address(ADDRESS))
    config = GuestConfig(id=str(id), hostname="bare", nics=(nic,), command=COMMAND)
    await config_disk.write(config, folder / "config.img")
    tap = open_tap(nic.tap, nic.namespace)
    root_socket = folder / "fs.sock"
    started = time.monotonic()
    server = subprocess.Popen(  # noqa: ASYNC220 - both only have to be started
        [
            *(virtiofsd.PROGRAM, f"--socket-path={root_socket}"),
            *("-o", f"source={volume.path}", "-o", "cache=always", "-o", "xattr"),
        ],
        stderr=subprocess.DEVNULL,
    )
    while not root_socket.exists():
        await asyncio.sleep(0.005)
    qemu = subprocess.Popen(  # noqa: ASYNC220
        bare_command(accelerator, root_socket, folder / "config.img", nic, tap), pass_fds=[tap]
    )
    try:
        await asyncio.to_thread(until_it_answers, lab)
        return time.monotonic() - started
    finally:
        os.close(tap)
        for child in (qemu, server):
            child.kill()
            child.wait()
        root_socket.unlink(missing_ok=True)
        await lab.bridge.detach(id)


async def ours(lab: Lab, provisioner: ZMachineProvisioner) -> float:
    """Seconds from `provision` on an empty node to the first answered ping."""
    wanted = machine("ours", address=ADDRESS)
    started = time.monotonic()
    await provisioner.provision(lab, wanted)
    try:
        await asyncio.to_thread(until_it_answers, lab)
        return time.monotonic() - started
    finally:
        await provisioner.deprovision(lab, wanted.id)


def until_it_answers(lab: Lab) -> None:
    lab.inside(
        "timeout", "25", "sh", "-c", f"until ping -qc1 -W0.2 {ADDRESS} >/dev/null; do sleep 0.02; done"
    )


async def measure(runs: int) -> None:
    lab = open_lab()
    try:
        provisioner = await ZMachineProvisioner.open(lab.paths, GUEST)
        accelerator = provisioner.accelerator.accelerator
        pairs = [(await ours(lab, provisioner), await bare(lab, accelerator)) for _ in range(runs)]
        await provisioner.close()
    finally:
        close_lab(lab)
    mine, theirs = (statistics.median(column) for column in zip(*pairs, strict=True))
    print(
        f"call → ping, median of {runs}: provisioner {mine:.2f} s, bare QEMU {theirs:.2f} s, ratio {mine / theirs:.2f}"
    )


def main() -> int:
    if os.geteuid() != 0:
        print("zmachine: skipped, taps need root")
        return 0
    if not IMAGE.exists():
        print("zmachine: skipped, the guest image is not built (make setup)")
        return 0
    asyncio.run(measure(int(sys.argv[1]) if len(sys.argv) > 1 else RUNS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
