"""`zos.system.*`."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Collection, Mapping
from pathlib import Path

import rmb
import zosd
from gridtypes import WorkloadType
from zosd.api.table import Handler
from zosd.machine import Machine

PROBE_LIMIT = 10.0
VENDORS = {
    "QEMU": "kvm",
    "KVM": "kvm",
    "VMware": "vmware",
    "VirtualBox": "virtualbox",
    "innotek": "virtualbox",
    "Xen": "xen",
    "Microsoft": "hyperv",
    "Amazon EC2": "aws",
    "Google": "kvm",
}
"""Beginnings of firmware vendor texts and what `virt-what` calls them."""


class System:
    def __init__(self, machine: Machine, supported: Collection[WorkloadType]) -> None:
        self._machine = machine
        self._supported = supported

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "system.version": self.version,
            "system.hypervisor": self.hypervisor,
            "system.node_features_get": self.node_features_get,
        }

    async def version(self, request: rmb.Request) -> dict[str, str]:
        return {"zos": zosd.__version__, "zinit": f"zosd {zosd.__version__}"}

    async def hypervisor(self, request: rmb.Request) -> str:
        try:
            return await hypervisor()
        except (OSError, TimeoutError) as error:
            raise rmb.HandlerError(f"could not detect if VM or not: {error}") from error

    async def node_features_get(self, request: rmb.Request) -> list[str]:
        types = sorted(type.value for type in self._supported)
        return [*types, "yggdrasil", "wireguard", *self._machine.features]


async def hypervisor() -> str:
    """The first word of `virt-what` where it is installed, else by the firmware's vendor; "" on bare metal."""
    program = shutil.which("virt-what")
    if program is None:
        return _by_firmware(Path("/sys/class/dmi/id"))
    process = await asyncio.create_subprocess_exec(
        program, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        async with asyncio.timeout(PROBE_LIMIT):
            output, _ = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise TimeoutError(f"virt-what did not end within {PROBE_LIMIT:g} s") from None
    words = output.decode(errors="replace").split()
    return words[0] if words else ""


def _by_firmware(folder: Path) -> str:
    for name in ("sys_vendor", "product_name", "bios_vendor"):
        try:
            text = (folder / name).read_text().strip()
        except OSError:
            continue
        for vendor, word in VENDORS.items():
            if text.startswith(vendor):
                return word
    flags = Path("/proc/cpuinfo").read_text()
    return "unknown" if " hypervisor" in flags else ""
