"""`zos.system.*` (what the node is), without its diagnostics."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import rmb
import zosd
from gridtypes import WorkloadType
from zosd.api import dmi
from zosd.api.table import Handler
from zosd.api.tool import ToolFailed, output_of
from zosd.machine import Machine
from zosd.version import running

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
GATEWAYS = frozenset({WorkloadType.GATEWAY_NAME_PROXY, WorkloadType.GATEWAY_FQDN_PROXY})


class System:
    def __init__(
        self,
        machine: Machine,
        supported: Collection[WorkloadType],
        light: bool = False,
        domain: Callable[[], str] = lambda: "",
    ) -> None:
        """`domain` gives the node's gateway domain, "" when it has none."""
        self._machine = machine
        self._supported = supported
        self._light = light
        self._domain = domain

    def handlers(self) -> Mapping[str, Handler]:
        return {
            "system.version": self.version,
            "system.dmi": self.dmi,
            "system.hypervisor": self.hypervisor,
            "system.node_features_get": self.node_features_get,
        }

    async def version(self, request: rmb.Request) -> dict[str, str]:
        return {"zos": running(), "zinit": f"zosd {zosd.__version__}"}

    async def dmi(self, request: rmb.Request) -> dict[str, Any]:
        try:
            return dmi.parse(await output_of("dmidecode"))
        except ToolFailed as error:
            raise rmb.HandlerError(f"the firmware's tables cannot be read: {error}") from error

    async def hypervisor(self, request: rmb.Request) -> str:
        try:
            return await hypervisor()
        except (OSError, ToolFailed) as error:
            raise rmb.HandlerError(f"could not detect if VM or not: {error}") from error

    async def node_features_get(self, request: rmb.Request) -> list[str]:
        """Clients tell light nodes from classic ones by the workload types in it."""
        types = set(self._supported)
        if self._light and not self._domain():
            types -= GATEWAYS
        overlay = () if self._light else ("yggdrasil",)
        return [*sorted(type.value for type in types), *overlay, "wireguard", *self._machine.features]


async def hypervisor() -> str:
    """The first word of `virt-what` where it is installed, else by the firmware's vendor; "" on bare metal.

    Raises ToolFailed, OSError.
    """
    if shutil.which("virt-what") is None:
        return _by_firmware(Path("/sys/class/dmi/id"))
    words = (await output_of("virt-what")).split()
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
