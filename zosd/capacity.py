"""What the node has, what is taken, and whether something more fits (engine §7).  Pure.

Memory is booked with the overhead of the machine emulator, so that guests cannot push the node into its own memory;
the statistics show the guests' memory alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from gridtypes import Capacity, Workload, WorkloadType
from provisioners.system.space import backing, place, rounded
from zosd.traits import traits

MIB = 1 << 20
GIB = 1 << 30

MACHINES = frozenset({WorkloadType.ZMACHINE, WorkloadType.ZMACHINE_LIGHT})

TCG_OVERHEAD = (70 + 64 + 12) * MIB
"""Bytes for each machine under TCG: emulator, translation buffer, one virtiofsd (vm-qemu §10)."""
KVM_OVERHEAD = (70 + 12) * MIB


class Media(Enum):
    SSD = "ssd"
    HDD = "hdd"


@dataclass(frozen=True, slots=True)
class PoolSpace:
    """Space of one pool, bytes."""

    name: str
    media: Media
    size: int
    """Of the device."""
    used: int
    """Promised."""
    free: int
    """May still be promised; less than the difference, because the file system needs room for itself."""


@dataclass(frozen=True, slots=True)
class DiskLeftAlone:
    """A configured disk that the node does not use."""

    path: str
    reason: str


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
class Ask:
    """What one new workload, or the growth of an old one, takes."""

    name: str
    cpu: int = 0
    memory: int = 0
    """Bytes for the guest itself."""
    machines: int = 0
    ssd: int = 0
    """Bytes on one SSD pool, as the storage allocates them."""
    hdd: int = 0


@dataclass(frozen=True, slots=True)
class Booked:
    """What has been promised, whether it runs already or not."""

    memory: int = 0
    """Bytes of guests' memory."""
    machines: int = 0
    unmade: tuple[Ask, ...] = ()
    """Promises whose disk space is not yet taken from the pools."""


def reserved_memory(total: int) -> int:
    """Bytes that the node keeps for itself."""
    return max(total // 10, 2 * GIB)


def system(machine: MachineFacts) -> Capacity:
    """What the node keeps for itself, as the statistics show it: memory, and what file systems need for themselves."""
    ssd = sum(max(0, p.size - p.used - p.free) for p in machine.pools if p.media is Media.SSD)
    return Capacity(mru=reserved_memory(machine.total.mru), sru=ssd)


def ask(workload: Workload, before: Workload | None = None) -> Ask:
    """What a new workload takes, or, with `before`, what its new version takes on top."""
    now = traits(workload).capacity
    old = traits(before).capacity if before else Capacity()
    machine = workload.type in MACHINES
    ssd = max(0, now.sru - old.sru)
    return Ask(
        name=workload.name,
        cpu=now.cru if machine else 0,
        memory=max(0, now.mru - old.mru),
        machines=int(machine and before is None),
        ssd=backing(ssd) if machine else rounded(ssd),
        hdd=rounded(max(0, now.hru - old.hru)),
    )


def shortage(asks: Sequence[Ask], booked: Booked, machine: MachineFacts) -> str | None:
    """Why the asked things do not fit all together, in the words of the specification; None when they do."""
    return (
        _cpu_shortage(asks, machine)
        or _memory_shortage(asks, booked, machine)
        or _disk_shortage(Media.SSD, [one.ssd for one in asks], [one.ssd for one in booked.unmade], machine)
        or _disk_shortage(Media.HDD, [one.hdd for one in asks], [one.hdd for one in booked.unmade], machine)
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


def _disk_shortage(
    media: Media, wanted: Iterable[int], promised: Iterable[int], machine: MachineFacts
) -> str | None:
    asked = [size for size in wanted if size]
    if not asked:
        return None
    room = [pool.free for pool in machine.pools if pool.media is media]
    missing = place([*asked, *filter(None, promised)], room)
    if missing is None:
        return None
    return (
        f"not enough space left in pools of this type {media.value}: {max(missing, min(asked))} bytes are asked for "
        f"on one disk, at most {max(room, default=0)} are free less what is promised; choose another node or a "
        "smaller size"
    )
