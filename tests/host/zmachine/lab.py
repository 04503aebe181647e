"""A node reduced to what a machine needs: one bridge in a namespace, folders, and an image that is there already."""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

from gridtypes import ContractId, NodeId, TwinId, Workload, WorkloadId, WorkloadType
from gridtypes.workloads import (
    MachineCapacity,
    MachineInterface,
    MachineMount,
    MachineNetwork,
    ZMachine,
)
from provisioners.protocol import (
    Disk,
    GuestNic,
    NicSource,
    NodeFacts,
    NodePaths,
    OwnerFile,
    PlacedWorkload,
    PrivateNetwork,
    ReservedIp,
    RootVolume,
    WorkloadError,
    owned_ids,
)
from provisioners.system import netns

CACHE = Path(os.environ.get("ZOS_CACHE", "/var/cache/zos"))
GUEST = CACHE / "guest"
IMAGE = CACHE / "rootfs/demo.tar.gz"
MIB = 1024 * 1024

GATEWAY = "10.20.2.1"


def run(*argv: str, check: bool = True, timeout: float = 30) -> str:
    done = subprocess.run(argv, text=True, capture_output=True, timeout=timeout, check=False)
    assert not check or done.returncode == 0, (
        f"{' '.join(argv)}: {done.returncode}: {done.stderr}{done.stdout}"
    )
    return done.stdout


class Bridge:
    """A private network: one namespace with a bridge that has the gateway's address."""

    network_id = "labnetwork"
    subnet = IPv4Network("10.20.2.0/24")
    ip_range = IPv4Network("10.20.0.0/16")
    gateway = IPv4Address(GATEWAY)

    def __init__(self, namespace: str) -> None:
        self.namespace = namespace
        run("ip", "netns", "add", namespace)
        self.ip("link", "set", "lo", "up")
        self.ip("link", "add", "br0", "type", "bridge")
        self.ip("addr", "add", f"{GATEWAY}/24", "dev", "br0")
        self.ip("addr", "add", "fd00:20:2::1/64", "dev", "br0", "nodad")
        self.ip("link", "set", "br0", "up")

    def ip(self, *words: str) -> str:
        return run("ip", "-n", self.namespace, *words)

    def taps(self) -> list[str]:
        lines = self.ip("-o", "link", "show", "type", "tun").splitlines()
        return [line.split(": ")[1].split("@")[0] for line in lines]

    async def attach(self, guest: WorkloadId, address: IPv4Address) -> GuestNic:
        return await asyncio.to_thread(self._attach, guest, address)

    def _attach(self, guest: WorkloadId, address: IPv4Address) -> GuestNic:
        tap = self._tap(guest)
        if tap not in self.taps():
            self.ip("tuntap", "add", "dev", tap, "mode", "tap")
            self.ip("link", "set", tap, "master", "br0")
            self.ip("link", "set", tap, "up")
        last = int(address) & 0xFF
        return GuestNic(
            tap=tap,
            namespace=self.namespace,
            mac=f"52:54:00:00:00:{last:02x}",
            addresses=(f"{address}/24", f"fd00:20:2::{last:x}/64"),
            routes=((str(self.ip_range), GATEWAY),),
            gateway4=GATEWAY,
            gateway6="fd00:20:2::1",
        )

    async def detach(self, guest: WorkloadId) -> None:
        if self._tap(guest) in self.taps():
            self.ip("link", "del", self._tap(guest))

    def close(self) -> None:
        netns.delete(self.namespace)

    @staticmethod
    def _tap(guest: WorkloadId) -> str:
        return f"t-{guest.unique('net')}"


class Folders:
    """Root volumes without a quota."""

    def __init__(self, base: Path) -> None:
        self.base = base

    async def ensure(self, guest: WorkloadId, size: int) -> RootVolume:
        volume = self.base / str(guest)
        (volume / "root").mkdir(parents=True, exist_ok=True)
        return RootVolume(volume / "root", size, fresh=not (volume / "complete").exists())

    async def commit(self, guest: WorkloadId) -> None:
        (self.base / str(guest) / "complete").touch()

    async def delete(self, guest: WorkloadId) -> None:
        shutil.rmtree(self.base / str(guest), ignore_errors=True)


class LocalImages:
    async def fetch(self, url: str) -> Path:
        path = Path(url.removeprefix("file://"))
        if not path.exists():
            raise WorkloadError(f"Image not found at {url} (404)")
        return path

    async def unpack(self, archive: Path, target: Path) -> None:
        await asyncio.to_thread(run, "tar", "-xf", str(archive), "-C", str(target))


@dataclass
class Lab:
    """Implements `provisioners.protocol.Context` for machines."""

    paths: NodePaths
    bridge: Bridge
    roots: Folders
    disks: dict[WorkloadId, Path] = field(default_factory=dict)
    images: LocalImages = field(default_factory=LocalImages)
    node: NodeFacts = field(default_factory=lambda: NodeFacts(NodeId(1), TwinId(7), bytes(32)))

    def owner_file(self, workload: WorkloadId, type: WorkloadType) -> OwnerFile:
        return OwnerFile(self.paths.owners(type) / f"{workload}.json")

    def owned(self, type: WorkloadType) -> set[WorkloadId]:
        return owned_ids(self.paths.owners(type))

    async def network(self, twin: TwinId, name: str) -> PrivateNetwork:
        if name != "net":
            raise WorkloadError(f"twin {twin} has no network '{name}' on this node")
        return self.bridge

    async def planetary(self) -> NicSource:
        raise WorkloadError("this node has no planetary network")

    async def public_ip(self, ip_workload: WorkloadId) -> NicSource:
        raise WorkloadError(f"public address '{ip_workload.name}' is not on this node")

    async def disk(self, zmount: WorkloadId) -> Disk:
        if zmount not in self.disks:
            raise WorkloadError(f"disk '{zmount.name}' is not on this node")
        return Disk(self.disks[zmount], self.disks[zmount].stat().st_size)

    async def reserved_ips(self, contract: ContractId) -> Sequence[ReservedIp]:
        return ()

    # -- for the tests ---------------------------------------------------------------------------------------------

    def make_disk(self, id: WorkloadId, size: int = 64 * MIB) -> None:
        path = self.paths.state / f"{id}.disk"
        path.touch()
        os.truncate(path, size)
        run("mkfs.ext4", "-q", "-F", str(path))
        path.chmod(0o600)
        self.disks[id] = path

    def inside(self, *argv: str, check: bool = True) -> str:
        """Run a program in the private network, as somebody at the other end of a tunnel would."""
        return run("ip", "netns", "exec", self.bridge.namespace, *argv, check=check)

    def answers(self, address: str, timeout: float = 30) -> bool:
        """Wait until the guest answers ping."""
        return bool(
            self.inside("timeout", str(timeout), "sh", "-c", f"until ping -qc1 -W1 {address}; do :; done")
        )

    def leftovers(self) -> list[str]:
        """Whatever of a machine is still on the host."""
        found = [str(path) for path in self.paths.run.rglob("*") if path.name != "vm"]
        found += [str(path) for path in (self.paths.log / "vm").glob("*")]
        found += [str(path) for path in self.roots.base.glob("*")]
        found += [str(path) for path in (self.paths.state / "owners").rglob("*.json")]
        return found + self.bridge.taps()


def open_lab() -> Lab:
    """Make a lab; the caller closes it with `close_lab`."""
    base = Path(tempfile.mkdtemp(prefix="zvm-"))  # short: socket paths are
    paths = NodePaths(base / "state", base / "cache", base / "run", base / "log")
    for path in (paths.state, paths.cache, paths.run, paths.log):
        path.mkdir()
    return Lab(paths, Bridge(f"zvm-{secrets.token_hex(4)}"), Folders(base / "roots"))


def close_lab(lab: Lab) -> None:
    lab.bridge.close()
    shutil.rmtree(lab.paths.state.parent)


def workload_id(name: str) -> WorkloadId:
    return WorkloadId.parse(f"7-1000-{name}")


def machine(
    name: str,
    *,
    address: str = "10.20.2.7",
    mounts: Sequence[tuple[str, str]] = (),
    entrypoint: str = "/sbin/zinit init",
    env: dict[str, str] | None = None,
    memory: int = 256 * MIB,
    image: str = f"file://{IMAGE}",
) -> PlacedWorkload:
    data = ZMachine(
        flist=image,
        network=MachineNetwork(interfaces=[MachineInterface(network="net", ip=IPv4Address(address))]),
        compute_capacity=MachineCapacity(cpu=1, memory=memory),
        mounts=[MachineMount(name=disk, mountpoint=target) for disk, target in mounts],
        entrypoint=entrypoint,
        env=env or {},
    )
    return PlacedWorkload(workload_id(name), Workload.build(name, data))
