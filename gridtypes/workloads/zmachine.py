"""Virtual machines: `zmachine` and `zmachine-light`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from gridtypes.addresses import IPAddress
from gridtypes.capacity import GIB, MIB, Capacity
from gridtypes.errors import InvalidData, InvalidDeployment
from gridtypes.ids import Name
from gridtypes.kinds import BOOL, HEX, IP, TEXT, TEXTS, U8, U64, ListOf, TextMap
from gridtypes.record import NestedRecord, OptionalRecord, Record, member, record
from gridtypes.workload_type import WorkloadType
from gridtypes.workloads.data import Siblings, WorkloadData

MIN_MEMORY = 250 * MIB
SEED_LENGTH = 6
"""Bytes of a mycelium seed."""
RESERVED_NETWORKS = ("ygg", "pub", "mycelium")


@record
class MachineInterface(Record):
    """An interface in a private network."""

    network: Name = member(TEXT)
    ip: IPAddress | None = member(IP)


@record
class MyceliumIP(Record):
    """An address in the Mycelium network of a private network."""

    network: str = member(TEXT, "Network")
    hex_seed: bytes = member(HEX)


@record
class MachineNetwork(Record):
    """The networks that a zmachine joins."""

    HASHED: ClassVar = ("public_ip", "planetary", "interfaces", "mycelium")

    public_ip: Name = member(TEXT)
    """Name of an `ip` workload of the same deployment, or empty."""
    planetary: bool = member(BOOL)
    mycelium: MyceliumIP | None = member(OptionalRecord(MyceliumIP), omit_empty=True)
    interfaces: Sequence[MachineInterface] = member(ListOf(NestedRecord(MachineInterface)))


@record
class MachineNetworkLight(Record):
    """The networks that a zmachine-light joins."""

    HASHED: ClassVar = ("interfaces", "mycelium")

    mycelium: MyceliumIP | None = member(OptionalRecord(MyceliumIP), omit_empty=True)
    interfaces: Sequence[MachineInterface] = member(ListOf(NestedRecord(MachineInterface)))


@record
class MachineCapacity(Record):
    cpu: int = member(U8)
    memory: int = member(U64)
    """Bytes."""

    @property
    def min_root_size(self) -> int:
        """Smallest root disk of such a machine, in bytes; the product wraps at 64 bits."""
        units = (self.cpu * self.memory) % (1 << 64) // (8 * GIB)
        return 500 * MIB if units == 0 else 2 * GIB


@record
class MachineMount(Record):
    """A disk or volume of the same deployment and where the machine finds it."""

    name: Name = member(TEXT)
    mountpoint: str = member(TEXT)


@record
class ZMachine(WorkloadData):
    """A virtual machine."""

    GO_TYPE: ClassVar = "ZMachine"
    HASHED: ClassVar = (
        "flist",
        "network",
        "size",
        "compute_capacity",
        "mounts",
        "entrypoint",
        "env",
        "gpu",
    )

    flist: str = member(TEXT)
    """URL of the image."""
    network: MachineNetwork = member(NestedRecord(MachineNetwork))
    size: int = member(U64)
    """Bytes of the root disk; 0 for the minimum."""
    compute_capacity: MachineCapacity = member(NestedRecord(MachineCapacity))
    mounts: Sequence[MachineMount] = member(ListOf(NestedRecord(MachineMount)))
    entrypoint: str = member(TEXT)
    env: TextMap = member(TEXTS)
    corex: bool = member(BOOL)
    """Never hashed."""
    gpu: Sequence[str] = member(ListOf(TEXT), omit_empty=True)

    def check(self, siblings: Siblings) -> None:
        _check_interfaces(self.network.interfaces)
        _check_compute(self.compute_capacity, self.size)
        if self.network.public_ip:
            public_ip = siblings.find(self.network.public_ip)
            if public_ip is None:
                raise InvalidDeployment("public ip is not found")
            if public_ip.type not in (WorkloadType.IP, WorkloadType.IPV4):
                # The Go code wraps a nil error here: the machine is valid and nothing more is looked at.
                return
            _check_one_user(siblings, self.network.public_ip)
        _check_networks(self.network.interfaces, self.network.mycelium)

    def capacity(self) -> Capacity:
        return _capacity(self.compute_capacity, self.size)


@record
class ZMachineLight(WorkloadData):
    """A virtual machine on a node without public and planetary addresses."""

    GO_TYPE: ClassVar = "ZMachineLight"
    HASHED: ClassVar = ZMachine.HASHED

    flist: str = member(TEXT)
    network: MachineNetworkLight = member(NestedRecord(MachineNetworkLight))
    size: int = member(U64)
    compute_capacity: MachineCapacity = member(NestedRecord(MachineCapacity))
    mounts: Sequence[MachineMount] = member(ListOf(NestedRecord(MachineMount)))
    entrypoint: str = member(TEXT)
    env: TextMap = member(TEXTS)
    corex: bool = member(BOOL)
    gpu: Sequence[str] = member(ListOf(TEXT), omit_empty=True)

    def check(self, siblings: Siblings) -> None:
        _check_interfaces(self.network.interfaces)
        _check_compute(self.compute_capacity, self.size)
        _check_networks(self.network.interfaces, self.network.mycelium)

    def capacity(self) -> Capacity:
        return _capacity(self.compute_capacity, self.size)


def root_size(compute: MachineCapacity, size: int) -> int:
    """Bytes of the root disk of a machine that asks for `size`."""
    return max(size, compute.min_root_size)


def _capacity(compute: MachineCapacity, size: int) -> Capacity:
    return Capacity(cru=compute.cpu, mru=compute.memory, sru=root_size(compute, size))


def _check_interfaces(interfaces: Sequence[MachineInterface]) -> None:
    if len(interfaces) != 1:
        raise InvalidDeployment("only one network private network is supported at the moment")
    if interfaces[0].ip is None:
        raise InvalidDeployment("invalid IP")


def _check_compute(compute: MachineCapacity, size: int) -> None:
    if compute.cpu == 0:
        raise InvalidDeployment("cpu capacity can't be 0")
    if compute.memory < MIN_MEMORY:
        raise InvalidDeployment("mem capacity can't be less that 250M")
    if size != 0 and size < compute.min_root_size:
        raise InvalidDeployment(f"disk size can't be less that {compute.min_root_size}. Set to 0 for minimum")


def _check_one_user(siblings: Siblings, public_ip: str) -> None:
    users = 0
    for machine in siblings.by_type(WorkloadType.ZMACHINE):
        try:
            data = machine.load()
        except InvalidData as error:
            raise InvalidDeployment(error.reason) from error
        users += isinstance(data, ZMachine) and data.network.public_ip == public_ip
    if users > 1:
        raise InvalidDeployment("public ip is assigned to multiple vms")


def _check_networks(interfaces: Sequence[MachineInterface], mycelium: MyceliumIP | None) -> None:
    for interface in interfaces:
        if interface.network in RESERVED_NETWORKS:
            raise InvalidDeployment(f"'{interface.network}' is reserved network name")
    if mycelium is not None and len(mycelium.hex_seed) != SEED_LENGTH:
        raise InvalidDeployment("invalid mycelium seed length expected 6 bytes")
