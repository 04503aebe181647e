"""What a grid needs of the machine, each with the remedy when it is missing."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from devgrid.layout import GIB, GridLayout

PROGRAMS = {
    "btrfs": "btrfs-progs",
    "busybox": "busybox-static",
    "dnsmasq": "dnsmasq-base",
    "ip": "iproute2",
    "mkfs.btrfs": "btrfs-progs",
    "mkfs.ext4": "e2fsprogs",
    "nft": "nftables",
    "nsenter": "util-linux",
    "qemu-system-x86_64": "qemu-system-x86",
    "redis-server": "redis-server",
    "setpriv": "util-linux",
    "unshare": "util-linux",
    "wg": "wireguard-tools",
    "yggdrasil": "yggdrasil",
}
"""Program → Debian package that brings it."""

NULL_PROGRAMS = ("redis-server", "setpriv")
FREE_DISK_PER_NODE = 2 * GIB
FREE_MEMORY_PER_NODE = GIB
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


@dataclass(frozen=True, slots=True)
class Missing:
    """One thing that the grid cannot do without."""

    what: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.what}: {self.remedy}"


def check(grid: GridLayout) -> list[Missing]:
    """Everything that is missing, at once, so that nobody has to try again for each."""
    return list(_null_needs(grid) if grid.null else _needs(grid))


def _null_needs(grid: GridLayout) -> Iterator[Missing]:
    yield from _programs(NULL_PROGRAMS)
    yield from _space(grid, GIB // 4, GIB // 8)


def _needs(grid: GridLayout) -> Iterator[Missing]:
    if os.geteuid() != 0:
        yield Missing("not root", "run as root, or use --null for a grid without namespaces and guests")
        return
    yield from _programs(tuple(PROGRAMS))
    yield from _kernel()
    yield from _space(grid, FREE_DISK_PER_NODE, FREE_MEMORY_PER_NODE)


def _programs(names: tuple[str, ...]) -> Iterator[Missing]:
    for name in names:
        if not shutil.which(name, path=SYSTEM_PATH):
            yield Missing(f"program {name}", f"make setup, or apt-get install {PROGRAMS[name]}")


def _kernel() -> Iterator[Missing]:
    for device, feature in (
        ("/dev/net/tun", "tap devices"),
        ("/dev/loop-control", "loop devices"),
        ("/dev/fuse", "fuse"),
    ):
        if not Path(device).exists():
            yield Missing(f"kernel feature {feature}", f"{device} is not there; modprobe its module")
    if "btrfs" not in Path("/proc/filesystems").read_text() and not _runs("modprobe btrfs"):
        yield Missing("kernel feature btrfs", "modprobe btrfs")
    if not _runs("unshare --mount --net --pid --uts --cgroup --fork true"):
        yield Missing(
            "kernel feature namespaces", "a container without CAP_SYS_ADMIN cannot hold a grid; use a machine"
        )
        return
    probes: tuple[tuple[str, str], ...] = (
        ("ip link add name probe0 type veth peer name probe1", "veth"),
        ("ip link add name probe0 type bridge", "bridge"),
        ("ip tuntap add name probe0 mode tap", "tap devices"),
        ("nft add table inet probe", "nftables"),
        ("nft add table bridge probe", "nftables for bridges"),
    )
    for command, feature in probes:
        if not _runs(f"unshare --net {command}"):
            yield Missing(f"kernel feature {feature}", f"`{command}` fails in a namespace; load its module")


def _space(grid: GridLayout, disk: int, memory: int) -> Iterator[Missing]:
    folder = next(path for path in (grid.folder, *grid.folder.parents) if path.exists())
    free = shutil.disk_usage(folder).free
    if free < disk * grid.nodes:
        yield Missing(
            f"free disk below {folder}: {free / GIB:.1f} GiB",
            f"{disk * grid.nodes / GIB:.1f} GiB are needed for {grid.nodes} nodes; use --state or fewer --nodes",
        )
    available = psutil.virtual_memory().available
    if available < memory * grid.nodes:
        yield Missing(
            f"free memory: {available / GIB:.1f} GiB",
            f"{memory * grid.nodes / GIB:.1f} GiB are needed for {grid.nodes} nodes; use fewer --nodes",
        )


def _runs(command: str, run: Callable[..., subprocess.CompletedProcess[bytes]] = subprocess.run) -> bool:
    try:
        done = run(command.split(), capture_output=True, timeout=20, check=False, env={"PATH": SYSTEM_PATH})
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
