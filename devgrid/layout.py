"""What is called what in a development grid: folders, addresses, ports, links.  Pure.

The host sees only the state folder.  Everything volatile lies in `RUN`, a tmpfs of the supervisor's own mount
namespace, so it is gone with the supervisor whatever ends it; from the host it is reached through
`/proc/<supervisor>/root`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface, IPv6Network
from pathlib import Path

DEFAULT_STATE = Path("/var/lib/zos-grid")
RUN = Path("/run")

LAN_BRIDGE = "lan0"
LAN_GATEWAY = IPv4Interface("10.99.0.254/16")
CLIENT_ADDRESS = IPv4Interface("10.99.0.2/16")
DHCP_FIRST = IPv4Address("10.99.1.1")
DHCP_LAST = IPv4Address("10.99.3.254")
LAN_PREFIX6 = IPv6Network("2a10:b600:99:1::/64")
"""Announced on the farm's LAN.  It looks public, so that a node reports IPv6, and never leaves the namespace."""
PUBLIC_GATEWAY = IPv4Interface("185.206.122.1/24")
"""Gateway of the farm's public addresses; documentation and private ranges are refused by the chain."""
PUBLIC_ADDRESSES = tuple(IPv4Interface(f"185.206.122.{last}/24") for last in range(11, 27))
INTERNET_NAMESPACE = "inet"
INTERNET_GATEWAY = IPv4Interface("198.18.0.254/24")
INTERNET_ADDRESS = IPv4Interface("198.18.0.1/24")
CLIENT_NAMESPACE = "client"

RELAY_HOST = "relay.devgrid"
"""Name of the grid's relay, which the grid's own `/etc/hosts` knows; the chain takes names without ports only."""
RELAY_PORT = 80
FRONT_PORT = 443
"""TLS, for clients that know no other way."""

CHAIN_PORT = 9944
IMAGE_PORT = 8080
YGGDRASIL_PORT = 9943
BUS_PORT = 8051

GIB = 1 << 30
DISK_SIZE = 120 * GIB
"""Each disk is a sparse file of this size; the chain refuses nodes with less than 100 GiB of SSD."""
NODE_DISKS = (("ssd0", "ssd"), ("ssd1", "ssd"), ("hdd0", "hdd"))
MAX_NODES = 32

FARM_NAME = "devfarm"
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,19}")


@dataclass(frozen=True, slots=True)
class NodeLayout:
    """One node of the grid; `index` counts from 1."""

    grid: GridLayout
    index: int

    @property
    def name(self) -> str:
        return f"node-{self.index}"

    @property
    def folder(self) -> Path:
        return self.grid.folder / self.name

    @property
    def key(self) -> Path:
        return self.grid.keys / f"{self.name}.key"

    @property
    def disks(self) -> Iterator[tuple[Path, str]]:
        """(backing file, class) of each disk."""
        return ((self.folder / "disks" / f"{name}.img", kind) for name, kind in NODE_DISKS)

    @property
    def uplink(self) -> str:
        """The node's port on the farm's switch."""
        return f"up{self.index}"

    @property
    def run(self) -> Path:
        """The node's own `/run/zos`, as the node sees it; short, because of socket paths."""
        return self.grid.run / self.name if self.grid.null else RUN / "zos"

    @property
    def redis(self) -> Path:
        return self.run / "redis.sock"

    @property
    def bus_port(self) -> int:
        """Port on loopback where the node's peer listens in a grid without namespaces."""
        return 18051 + self.index


@dataclass(frozen=True, slots=True)
class VirtualLayout:
    """One node of the grid that is a virtual machine; `index` counts from 1."""

    grid: GridLayout
    index: int

    @property
    def name(self) -> str:
        return f"qemu-{self.index}"

    @property
    def folder(self) -> Path:
        return self.grid.folder / self.name

    @property
    def description(self) -> Path:
        """What the machine is made of, as JSON."""
        return self.folder / "machine.json"

    @property
    def tap(self) -> str:
        """The machine's port on the farm's switch."""
        return f"vm{self.index}"


@dataclass(frozen=True, slots=True)
class GridLayout:
    """A grid's name and size, and from them every path and address."""

    state: Path
    name: str = "dev"
    nodes: int = 2
    null: bool = False
    """Without root and without namespaces: null provisioners, everything on loopback."""
    qemu: int = 0
    """Further nodes that are virtual machines, booted from the image."""

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"grid name {self.name!r}: use up to 20 of a-z, 0-9 and '-'")
        if self.nodes < 0 or self.qemu < 0 or not 1 <= self.nodes + self.qemu <= MAX_NODES:
            raise ValueError(f"{self.nodes + self.qemu} nodes: a grid has 1 to {MAX_NODES}")
        if self.null and self.qemu:
            raise ValueError("a null grid has no machines: leave out --qemu or --null")

    @property
    def folder(self) -> Path:
        return self.state / self.name

    @property
    def keys(self) -> Path:
        return self.folder / "keys"

    @property
    def logs(self) -> Path:
        return self.folder / "log"

    @property
    def chain(self) -> Path:
        return self.folder / "chain"

    @property
    def run(self) -> Path:
        """The supervisor's volatile folder."""
        return self.folder / "run" if self.null else RUN / "grid"

    @property
    def control(self) -> Path:
        return self.run / "control.sock"

    @property
    def pid_file(self) -> Path:
        """Pid and start time of the supervisor, as the host sees them."""
        return self.folder / "supervisor.json"

    @property
    def cgroup(self) -> str:
        return f"zos-grid-{self.name}"

    @property
    def client_run(self) -> Path:
        return self.run / "client"

    @property
    def client_redis(self) -> Path:
        return self.client_run / "redis.sock"

    @property
    def client_folder(self) -> Path:
        return self.folder / "client"

    @property
    def chain_host(self) -> str:
        return "127.0.0.1" if self.null else str(LAN_GATEWAY.ip)

    @property
    def chain_url(self) -> str:
        return f"ws://{self.chain_host}:{CHAIN_PORT}"

    @property
    def activation_url(self) -> str:
        return f"http://{self.chain_host}:{CHAIN_PORT}/activation"

    @property
    def image_url(self) -> str:
        return f"http://{self.chain_host}:{IMAGE_PORT}"

    @property
    def front(self) -> Path:
        """Folder of the front's authority and key."""
        return self.folder / "front"

    @property
    def user_key(self) -> Path:
        return self.keys / "user.key"

    @property
    def farmer_key(self) -> Path:
        return self.keys / "farmer.key"

    @property
    def machines(self) -> tuple[VirtualLayout, ...]:
        return tuple(VirtualLayout(self, index) for index in range(1, self.qemu + 1))

    @property
    def members(self) -> tuple[NodeLayout, ...]:
        return tuple(NodeLayout(self, index) for index in range(1, self.nodes + 1))
