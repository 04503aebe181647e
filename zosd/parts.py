"""What is different between a real node and a null one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field

from gridtypes import WorkloadId, WorkloadType
from provisioners.null import null_provisioners
from provisioners.protocol import Images, Provisioner, RootVolumes
from zosd.books import Books
from zosd.config import Config
from zosd.context import NoImages, NoRoots
from zosd.machine import Machine
from zosd.null_machine import NullMachine

Fallen = Callable[[WorkloadId, str], Awaitable[None]]
"""Tells the engine that a workload died, and how."""


async def _nothing() -> None:
    """For nodes that have nothing to prepare."""


async def _watch_nothing(fallen: Fallen) -> None:
    """For nodes on which nothing can die."""


@dataclass(frozen=True, slots=True)
class Parts:
    machine: Machine
    provisioners: Mapping[WorkloadType, Provisioner]
    roots: RootVolumes
    images: Images
    prepare: Callable[[], Awaitable[None]] = field(default=_nothing)
    """Ensure network, pools and accelerator; awaited before anything is adopted."""
    watch: Callable[[Fallen], Awaitable[None]] = field(default=_watch_nothing)
    """Runs beside everything else and reports what died."""
    public_config: Callable[[str], Awaitable[None]] | None = None
    """Take over the chain's public configuration (JSON as in `public_config_get`, or `null`)."""


def null_parts(config: Config, books: Books) -> Parts:
    """A node that makes nothing."""
    machine = NullMachine(config.capacity, lambda: books.used)
    return Parts(machine, null_provisioners(), NoRoots(), NoImages())
