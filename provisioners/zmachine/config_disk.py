"""The read-only FAT disk labelled `cidata` from which a guest learns who it is (`vm.md` A7).

It carries our own two shell files for machines in container mode, and the three files that a stock cloud-init
reads, so that the same disk serves whole virtual machines.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import yaml

from provisioners.protocol import GuestNic
from provisioners.system import command
from provisioners.zmachine.guest_config import GuestConfig
from provisioners.zmachine.zosinit import zosinit, zosrc

LABEL = "cidata"
SERIAL = "cidata"
MIN_SIZE = 2 * 1024 * 1024
"""Bytes."""
_HEADER = "#cloud-config\n"


def files(config: GuestConfig) -> dict[str, str]:
    """The files of the disk by name."""
    return {
        "meta-data": _yaml({"instance-id": config.id, "local-hostname": config.hostname}),
        "network-config": _yaml(network_config(config)),
        "user-data": _yaml(user_data(config)),
        "zosrc": zosrc(config),
        "zosinit": zosinit(config),
    }


def network_config(config: GuestConfig) -> dict[str, object]:
    """The interfaces as netplan, version 2, describes them."""
    gateways = config.default_gateways()
    ethernets = {
        f"eth{number}": _ethernet(nic, gateways.get(nic, ())) for number, nic in enumerate(config.nics)
    }
    if ethernets:
        ethernets["eth0"]["nameservers"] = {"addresses": list(config.dns)}
    return {"version": 2, "ethernets": ethernets}


def user_data(config: GuestConfig) -> dict[str, object]:
    """The keys for root; disks of whole virtual machines are left to their users."""
    if not config.ssh_keys:
        return {}
    return {"users": [{"name": "root", "ssh_authorized_keys": list(config.ssh_keys)}]}


def _ethernet(nic: GuestNic, gateways: tuple[str, ...]) -> dict[str, object]:
    ethernet: dict[str, object] = {
        "match": {"macaddress": nic.mac.lower()},
        "dhcp4": False,
        "addresses": list(nic.addresses),
    }
    for gateway in gateways:
        ethernet["gateway6" if ":" in gateway else "gateway4"] = gateway
    if nic.routes:
        ethernet["routes"] = [{"to": destination, "via": via} for destination, via in nic.routes]
    return ethernet


async def write(config: GuestConfig, image: Path) -> None:
    """Make the disk at `image`, replacing an older one.  Raises CommandFailed."""
    content = {name: text.encode() for name, text in files(config).items()}
    size = disk_size(content)
    folder = Path(tempfile.mkdtemp(prefix="cidata-", dir=image.parent))
    try:
        for name, data in content.items():
            (folder / name).write_bytes(data)
        fresh = folder / "image"
        await command.run("mkfs.vfat", "-n", LABEL, "-C", str(fresh), str(size // 1024))
        await command.run("mcopy", "-i", str(fresh), *(str(folder / name) for name in content), "::/")
        fresh.chmod(0o600)
        fresh.replace(image)
    finally:
        shutil.rmtree(folder)


def disk_size(content: dict[str, bytes]) -> int:
    """Bytes that a disk with these files needs, with room for the file system itself."""
    needed = sum(len(data) for data in content.values()) * 5 // 4
    return max(MIN_SIZE, -(-needed // MIN_SIZE) * MIN_SIZE + MIN_SIZE if needed > MIN_SIZE // 2 else 0)


def _yaml(value: object) -> str:
    return _HEADER + yaml.safe_dump(value, sort_keys=False, default_flow_style=False, allow_unicode=True)
