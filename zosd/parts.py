"""What is different between a real node and a null one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from gridtypes import WorkloadId, WorkloadType
from provisioners.null import null_provisioners
from provisioners.protocol import Context, Images, Provisioner, RootVolumes
from zosd.books import Books
from zosd.config import Config
from zosd.context import NoImages, NoRoots
from zosd.machine import Machine
from zosd.null_machine import NullMachine

LIGHT = frozenset(
    {
        WorkloadType.ZMACHINE_LIGHT,
        WorkloadType.NETWORK_LIGHT,
        WorkloadType.ZDB,
        WorkloadType.ZMOUNT,
        WorkloadType.VOLUME,
        WorkloadType.QSFS,
        WorkloadType.ZLOGS,
        WorkloadType.GATEWAY_NAME_PROXY,
        WorkloadType.GATEWAY_FQDN_PROXY,
    }
)
"""The types of a light node."""

Report = Callable[[WorkloadId, str | None], Awaitable[None]]
"""Tells the engine that a workload failed (the text) or works again (None)."""
LookAgain = Callable[[WorkloadType], None]
"""Has every workload of the type looked at again."""


async def _nothing_to_begin(ctx: Context) -> None:
    """For nodes without leftovers of their own."""


async def _nothing_to_watch(report: Report) -> None:
    """For nodes on which nothing can die; as every watch, it ends only by being cancelled."""
    await asyncio.Event().wait()


async def _no_public_config(text: str, look_again: LookAgain) -> None:
    """For nodes without a network."""


def _no_farm_addresses(addresses: Sequence[str]) -> None:
    """For nodes that fetch nothing."""


async def _no_traffic(ctx: Context) -> Mapping[WorkloadId, int]:
    """For nodes without public addresses."""
    return {}


async def _nothing_to_close() -> None:
    """For nodes that hold nothing."""


@dataclass(frozen=True, slots=True)
class Parts:
    machine: Machine
    provisioners: Mapping[WorkloadType, Provisioner]
    roots: RootVolumes
    images: Images
    begin: Callable[[Context], Awaitable[None]] = _nothing_to_begin
    """Clean up before anything is adopted."""
    watch: Callable[[Report], Awaitable[None]] = _nothing_to_watch
    """Runs beside everything else and reports what died and what came back."""
    set_public_config: Callable[[str, LookAgain], Awaitable[None]] = _no_public_config
    """Take over the chain's public configuration (JSON as in `public_config_get`, or `null`)."""
    set_farm_addresses: Callable[[Sequence[str]], None] = _no_farm_addresses
    """Take over the farm's public addresses (`address/prefix`); images do not come from there."""
    traffic: Callable[[Context], Awaitable[Mapping[WorkloadId, int]]] = _no_traffic
    """Bytes sent and received by each public address since its interface was made."""
    close: Callable[[], Awaitable[None]] = _nothing_to_close
    """Let go of what runs, without ending it."""


def null_parts(config: Config, books: Books) -> Parts:
    """A node that makes nothing."""
    machine = NullMachine(config.capacity, lambda: books.used)
    made = {type: one for type, one in null_provisioners().items() if not config.node.light or type in LIGHT}
    return Parts(machine, made, NoRoots(), NoImages())
