"""What a provisioner is, and what it may ask of the node.

The daemon calls the verbs of `Provisioner`; a provisioner asks the `Context` it is given for everything
that lies outside its own type ("the tap of network X", "the path of zmount Y").  That is the only way from
one type to another.

Rules that every implementation keeps:

* every verb is *ensure*: look, compare, change only what differs.  A verb may be cut at any instruction and is
  then simply called again, so first boot, restart, retry and crash recovery are one path;
* the owner file (`Context.owner_file`) is written **before** the first object is made on the machine and removed
  after the last one is gone, so `inventory` and `deprovision` never guess;
* what a tenant did wrong is a `WorkloadError` with a message fit for his eyes; anything else is our fault and
  ends as a traceback in the log.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv4Interface, IPv4Network
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from pydantic import BaseModel

from gridtypes import ContractId, NodeId, TwinId, Workload, WorkloadId, WorkloadType


class WorkloadError(Exception):
    """A workload cannot be made (or removed) as asked; `str(e)` goes into its result, for the tenant to read."""


class Unchanged(WorkloadError):
    """An update was refused and nothing was touched; the old version goes on."""


class InUse(WorkloadError):
    """A removal has to wait for another workload; the engine shows the reason and tries again."""


@dataclass(frozen=True, slots=True)
class PlacedWorkload:
    """A workload together with its place on the grid: `id` is `<twin>-<contract>-<name>`."""

    id: WorkloadId
    workload: Workload

    @property
    def twin(self) -> TwinId:
        return self.id.twin

    @property
    def contract(self) -> ContractId:
        return self.id.contract

    @property
    def type(self) -> WorkloadType:
        return self.workload.type


# -- what provisioners hand to each other, through the context -----------------------------------------------------


@dataclass(frozen=True, slots=True)
class GuestNic:
    """One network interface of a guest, ready to be given to QEMU.

    The tap exists, is a port of its bridge, is up, and is bound to `mac` and `addresses` by nftables.
    """

    tap: str
    """Name of the tap link."""
    namespace: str | None
    """Name below `/run/netns` in which the tap lies; None for the node's own namespace."""
    mac: str
    addresses: tuple[str, ...]
    """Addresses for the guest in CIDR form, both families."""
    routes: tuple[tuple[str, str], ...] = ()
    """(destination CIDR, gateway address)."""
    gateway4: str | None = None
    gateway6: str | None = None
    dns: tuple[str, ...] = ()
    mtu: int = 1500


class NicSource(Protocol):
    """Somebody who can give a guest an interface.  Both verbs are *ensure* and safe to repeat."""

    async def attach(self, guest: WorkloadId) -> GuestNic: ...

    async def detach(self, guest: WorkloadId) -> None: ...


@runtime_checkable
class PrivateNetwork(Protocol):
    """A user's network as it lies on this node."""

    network_id: str
    namespace: str
    """The network resource's namespace, `n-<netid>`; the console of a VM listens in it, on `gateway`."""
    subnet: IPv4Network
    ip_range: IPv4Network
    gateway: IPv4Address

    async def attach(self, guest: WorkloadId, address: IPv4Address) -> GuestNic:
        """Ensure the guest's tap.  Raises WorkloadError when `address` is outside the subnet, reserved or taken."""
        ...

    async def detach(self, guest: WorkloadId) -> None: ...


@dataclass(frozen=True, slots=True)
class Disk:
    """A raw virtual disk file."""

    path: Path
    size: int
    """Bytes."""


@dataclass(frozen=True, slots=True)
class RootVolume:
    """A writable directory with a quota, the root file system of one guest."""

    path: Path
    size: int
    """Quota in bytes."""
    fresh: bool
    """True until the content was completed once (`RootVolumes.commit`)."""


@dataclass(frozen=True, slots=True)
class ReservedIp:
    """An IPv4 address that a contract holds, as the chain has it (the farmer's text already parsed)."""

    address: IPv4Interface
    gateway: IPv4Address


class NetworkSource(Protocol):
    """Implemented by the network provisioner."""

    async def private_network(self, ctx: Context, twin: TwinId, name: str) -> PrivateNetwork:
        """Raises WorkloadError when the twin has no such network here."""
        ...

    async def planetary(self, ctx: Context) -> NicSource:
        """Raises WorkloadError when the node has no planetary network."""
        ...


class PublicIpSource(Protocol):
    """Implemented by the ip provisioner."""

    async def public_ip(self, ctx: Context, ip_workload: WorkloadId) -> NicSource:
        """Raises WorkloadError when that workload does not exist here."""
        ...


class DiskSource(Protocol):
    """Implemented by the zmount provisioner."""

    async def disk(self, ctx: Context, zmount: WorkloadId) -> Disk:
        """Raises WorkloadError when that workload does not exist here."""
        ...


class RootVolumes(Protocol):
    """Quota volumes on the SSD pools for guests' root file systems (`rootfs:<workload id>`)."""

    async def ensure(self, guest: WorkloadId, size: int) -> RootVolume: ...

    async def commit(self, guest: WorkloadId) -> None:
        """Record that the content is complete; `ensure` then answers `fresh=False`."""
        ...

    async def delete(self, guest: WorkloadId) -> None:
        """Safe to repeat; succeeds when it never existed."""
        ...


class Images(Protocol):
    """The node's image store: archives by URL, cached by content."""

    async def fetch(self, url: str) -> Path:
        """Return the path of the cached archive.  Raises WorkloadError naming address and cause."""
        ...

    async def unpack(self, archive: Path, target: Path) -> None:
        """Unpack a root-file-system archive confined to `target` (decision 42).  Raises WorkloadError."""
        ...


# -- owner files ---------------------------------------------------------------------------------------------------


class OwnerFile:
    """The small durable record of what one workload owns on this machine (decision 46).

    JSON, mode 0600, written atomically (temporary file, fsync, rename, fsync of the folder).
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> dict[str, Any] | None:
        """The record, or None when there is none."""
        try:
            raw = self.path.read_bytes()
        except FileNotFoundError:
            return None
        record = json.loads(raw)
        if not isinstance(record, dict):
            raise ValueError(f"owner file {self.path} does not hold a JSON object")
        return record

    def write(self, record: dict[str, Any]) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        temporary = self.path.with_name(f".{self.path.name}.new")
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(descriptor, json.dumps(record, sort_keys=True).encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, self.path)
        self._sync_folder()

    def remove(self) -> None:
        """Safe to repeat."""
        try:
            self.path.unlink()
        except FileNotFoundError:
            return
        self._sync_folder()

    def _sync_folder(self) -> None:
        folder = os.open(self.path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


@dataclass(frozen=True, slots=True)
class NodePaths:
    """Folders of a node.  Unix socket paths are limited to 107 bytes, so `run` has to be short."""

    state: Path
    """Durable: journal, owner files, small records.  Survives a reboot."""
    cache: Path
    """Images and the like: may be lost, is made again."""
    run: Path
    """Volatile: sockets, pid files.  Empty after a reboot."""
    log: Path

    def owners(self, type: WorkloadType) -> Path:
        return self.state / "owners" / type.value


@dataclass(frozen=True, slots=True)
class NodeFacts:
    """Who this node is."""

    node: NodeId
    twin: TwinId
    account: bytes
    """Public key of the node's twin (ed25519, 32 bytes)."""
    address: str = ""
    """The account in SS58 form; the MACs of the node's own links derive from it."""


# -- the verbs -----------------------------------------------------------------------------------------------------


class Context(Protocol):
    """What a provisioner may ask of the node.  Made by the daemon; one for the whole node."""

    paths: NodePaths
    node: NodeFacts
    roots: RootVolumes
    images: Images

    def owner_file(self, workload: WorkloadId, type: WorkloadType) -> OwnerFile: ...

    def owned(self, type: WorkloadType) -> set[WorkloadId]:
        """The workloads of this type that have an owner file."""
        ...

    async def network(self, twin: TwinId, name: str) -> PrivateNetwork: ...

    async def planetary(self) -> NicSource: ...

    async def public_ip(self, ip_workload: WorkloadId) -> NicSource: ...

    async def disk(self, zmount: WorkloadId) -> Disk: ...

    async def reserved_ips(self, contract: ContractId) -> Sequence[ReservedIp]:
        """The addresses that the contract holds, in the contract's order."""
        ...


class Provisioner(Protocol):
    """One workload type.  `update`, `pause` and `resume` are optional: the daemon looks for the attribute."""

    type: WorkloadType

    async def provision(self, ctx: Context, workload: PlacedWorkload) -> BaseModel | None:
        """Ensure that it exists as specified; returns the result data.  Raises WorkloadError."""
        ...

    async def deprovision(self, ctx: Context, workload: WorkloadId) -> None:
        """Ensure that it is gone, from the owner file alone.  Raises InUse when it has to wait, WorkloadError."""
        ...

    async def recover(self, ctx: Context, workload: PlacedWorkload) -> BaseModel | None:
        """After a restart: re-adopt what runs and return its result data; None when it has to be made again."""
        ...

    async def inventory(self, ctx: Context) -> set[WorkloadId]:
        """What of this type exists on this machine now."""
        ...


@runtime_checkable
class Updatable(Protocol):
    async def update(self, ctx: Context, current: PlacedWorkload, wanted: PlacedWorkload) -> BaseModel | None:
        """Raises Unchanged when it refuses and nothing was touched."""
        ...


@runtime_checkable
class Pausable(Protocol):
    async def pause(self, ctx: Context, workload: WorkloadId) -> None: ...

    async def resume(self, ctx: Context, workload: WorkloadId) -> None: ...


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    """For instance `vm.process`."""
    ok: bool
    message: str
    evidence: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Inspection:
    """What an administrator is shown of one workload."""

    info: Mapping[str, Any]
    checks: tuple[Check, ...]
    log: str
    """The end of its own log."""


@runtime_checkable
class Inspectable(Protocol):
    async def inspect(self, ctx: Context, workload: PlacedWorkload, log_bytes: int) -> Inspection:
        """Look, and touch nothing.  Raises WorkloadError when it cannot be looked at."""
        ...


def owned_ids(folder: Path) -> set[WorkloadId]:
    """Workload ids of the owner files in `folder`; half-written temporary files do not count."""
    if not folder.is_dir():
        return set()
    return {WorkloadId.parse(entry.stem) for entry in folder.iterdir() if entry.suffix == ".json"}
