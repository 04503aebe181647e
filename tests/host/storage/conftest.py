"""Pools on small loop devices; whatever happens, nothing stays mounted or attached."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from devgrid.loop_device import LoopDevice, make_sparse
from gridtypes import ContractId, Name, NodeId, TwinId, WorkloadId, WorkloadType
from provisioners.protocol import NodeFacts, NodePaths, OwnerFile, owned_ids
from provisioners.system.disk_class import DiskClass
from provisioners.system.pools import DiskConfig, Pools

GIB = 1 << 30
MIB = 1 << 20

MakeDisk = Callable[..., Path]


@pytest.fixture
def make_disk(tmp_path: Path) -> Iterator[MakeDisk]:
    """Attach a blank sparse file; returns the device's path."""
    devices: list[LoopDevice] = []

    def make(size: int = 2 * GIB) -> Path:
        backing = tmp_path / f"disk{len(devices)}.img"
        make_sparse(backing, size)
        device = LoopDevice.attach(backing)
        devices.append(device)
        return device.path

    yield make
    for device in devices:
        device.close()


@pytest.fixture
def mount_root(tmp_path: Path, make_disk: MakeDisk) -> Iterator[Path]:
    """Unmounted before the loop devices go."""
    root = tmp_path / "pools"
    yield root
    for point in _mounts_below(root):
        subprocess.run(["umount", "-l", point], check=True)


def _mounts_below(root: Path) -> list[str]:
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    return [point for point in reversed(points) if point.startswith(f"{root}/")]


@dataclass
class OneNode:
    """As much of a context as storage asks for."""

    paths: NodePaths
    node: NodeFacts = field(default_factory=lambda: NodeFacts(NodeId(1), TwinId(1), bytes(32)))

    def owner_file(self, workload: WorkloadId, type: WorkloadType) -> OwnerFile:
        return OwnerFile(self.paths.owners(type) / f"{workload}.json")

    def owned(self, type: WorkloadType) -> set[WorkloadId]:
        return owned_ids(self.paths.owners(type))


def one_node(folder: Path) -> OneNode:
    return OneNode(NodePaths(*(folder / name for name in ("state", "cache", "run", "log"))))


@pytest.fixture
def ctx(tmp_path: Path) -> OneNode:
    return one_node(tmp_path)


@pytest.fixture
async def pools(make_disk: MakeDisk, mount_root: Path) -> Pools:
    """Two SSDs of 2 and 1 GiB and one HDD."""
    disks = [
        DiskConfig(make_disk(2 * GIB), DiskClass.SSD),
        DiskConfig(make_disk(1 * GIB), DiskClass.SSD),
        DiskConfig(make_disk(1 * GIB), DiskClass.HDD),
    ]
    made = Pools(disks, mount_root)
    await made.ensure()
    assert made.refused == ()
    return made


def workload_id(name: str, contract: int = 1000) -> WorkloadId:
    return WorkloadId(TwinId(26), ContractId(contract), Name(name))
