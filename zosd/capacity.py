"""What the node has, what is taken, and whether something more fits (engine §7).  Pure.

Memory is booked with the overhead of the machine emulator, so that guests cannot push the node into its own memory;
the statistics show the guests' memory alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from gridtypes import Capacity, Workload, WorkloadType
from zosd.traits import traits

MIB = 1 << 20
GIB = 1 << 30

MACHINES = frozenset({WorkloadType.ZMACHINE, WorkloadType.ZMACHINE_LIGHT})

TCG_OVERHEAD = (70 + 64 + 12) * MIB
"""Bytes for each machine under TCG: emulator, translation buffer, one virtiofsd (vm-qemu §10)."""
KVM_OVERHEAD = (70 + 12) * MIB
CACHE_SIZE = 5 * GIB
"""SSD that the node keeps for its image cache."""


class Media(Enum):
    SSD = "ssd"
    HDD = "hdd"


@dataclass(frozen=True, slots=True)
class PoolSpace:
    """Space of one pool, bytes."""

    name: str
    media: Media
    size: int
    used: int

    @property
    def free(self) -> int:
        return max(0, self.size - self.used)


@dataclass(frozen=True, slots=True)
class MachineFacts:
    """What the machine has and what it says of its load."""

    total: Capacity
    available_memory: int | None
    """As the kernel reports it; None where it means nothing, because the guests are not real."""
    pools: tuple[PoolSpace, ...]
    overhead: int = TCG_OVERHEAD
    """Bytes beside its own memory that each guest takes."""


@dataclass(frozen=True, slots=True)
class Booked:
    """What has been promised, whether it runs already or not."""

    memory: int = 0
    """Bytes of guests' memory."""
    machines: int = 0
    unmade_ssd: tuple[int, ...] = ()
    """Sizes of promised disks that do not lie on a pool yet."""
    unmade_hdd: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Ask:
    """What one new workload, or the growth of an old one, would take."""

    name: str
    cpu: int = 0
    memory: int = 0
    machines: int = 0
    ssd: int = 0
    hdd: int = 0


def reserved_memory(total: int) -> int:
    """Bytes that the node keeps for itself."""
    return max(total // 10, 2 * GIB)


def system(total: Capacity) -> Capacity:
    """What the node keeps for itself, as the statistics show it."""
    return Capacity(mru=reserved_memory(total.mru), sru=min(CACHE_SIZE, total.sru))


def ask(workload: Workload, before: Workload | None = None) -> Ask:
    """What a new workload takes, or, with `before`, what its new version takes on top."""
    now = traits(workload).capacity
    old = traits(before).capacity if before else Capacity()
    machine = workload.type in MACHINES
    return Ask(
        name=workload.name,
        cpu=now.cru if machine else 0,
        memory=max(0, now.mru - old.mru),
        machines=int(machine and before is None),
        ssd=max(0, now.sru - old.sru),
        hdd=max(0, now.hru - old.hru),
    )


def shortage(asks: Sequence[Ask], booked: Booked, machine: MachineFacts) -> str | None:
    """Why the asked things do not fit all together, in the words of the specification; None when they do."""
    return (
        _cpu_shortage(asks, machine)
        or _memory_shortage(asks, booked, machine)
        or _disks(asks, booked, machine)
    )


def _cpu_shortage(asks: Iterable[Ask], machine: MachineFacts) -> str | None:
    for one in asks:
        if one.cpu > machine.total.cru:
            return (
                "failed to satisfy required capacity: "
                f"cannot fulfil required cpu count {one.cpu} out of {machine.total.cru} of the machine"
            )
    return None


def _memory_shortage(asks: Iterable[Ask], booked: Booked, machine: MachineFacts) -> str | None:
    total = machine.total.mru
    taken = booked.memory + booked.machines * machine.overhead + reserved_memory(total)
    if machine.available_memory is not None:
        taken = max(taken, total - machine.available_memory)
    for one in asks:
        if not one.memory:
            continue
        usable = max(0, total - taken - one.machines * machine.overhead)
        if one.memory > usable:
            return (
                "failed to satisfy required capacity: "
                f"cannot fulfil required memory size {one.memory} bytes out of usable {usable} bytes"
            )
        taken += one.memory + one.machines * machine.overhead
    return None


def _disks(asks: Iterable[Ask], booked: Booked, machine: MachineFacts) -> str | None:
    asks = list(asks)
    for media, promised, wanted in (
        (Media.SSD, booked.unmade_ssd, [one.ssd for one in asks]),
        (Media.HDD, booked.unmade_hdd, [one.hdd for one in asks]),
    ):
        free = [pool.free for pool in machine.pools if pool.media is media]
        for size in sorted(promised, reverse=True):
            _place(size, free)
        for size in sorted((size for size in wanted if size), reverse=True):
            if not _place(size, free):
                return (
                    f"not enough space left in pools of this type {media.value}: "
                    f"{size} bytes are needed on one pool, the largest free space is {max(free, default=0)} bytes"
                )
    return None


def _place(size: int, free: list[int]) -> bool:
    """Take `size` from the pool with most space, as the storage does."""
    if not free:
        return False
    best = max(range(len(free)), key=free.__getitem__)
    if free[best] < size:
        return False
    free[best] -= size
    return True
