"""The fixed questions that an administrator may ask about the node as a whole; there is no shell behind them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import psutil

from provisioners.protocol import Check

NAME = "system.probe"


def _memory() -> str:
    memory = psutil.virtual_memory()
    return f"{memory.available} of {memory.total} bytes available"


def _load() -> str:
    return Path("/proc/loadavg").read_text().strip()


def _uptime() -> str:
    return f"{Path('/proc/uptime').read_text().split()[0]} s since the kernel started"


def _disks() -> str:
    lines = []
    for part in psutil.disk_partitions(all=False):
        usage = psutil.disk_usage(part.mountpoint)
        lines.append(f"{part.mountpoint}: {usage.used} of {usage.total} bytes used")
    return "\n".join(lines)


def _links() -> str:
    stats = psutil.net_if_stats()
    return "\n".join(f"{name}: {'up' if one.isup else 'down'}, mtu {one.mtu}" for name, one in stats.items())


def _processes() -> str:
    return f"{len(psutil.pids())} processes"


PROBES: Mapping[str, Callable[[], str]] = {
    "disks": _disks,
    "links": _links,
    "load": _load,
    "memory": _memory,
    "processes": _processes,
    "uptime": _uptime,
}


async def probe(name: str) -> Check:
    """Answer one of `PROBES`; for any other name say which there are."""
    work = PROBES.get(name.strip())
    if work is None:
        known = ", ".join(sorted(PROBES))
        return Check(NAME, False, f"there is no probe {name[:100]!r}; there are: {known}")
    try:
        text = await asyncio.to_thread(work)
    except OSError as error:
        return Check(NAME, False, f"{name} cannot be read: {error}")
    return Check(NAME, True, name.strip(), {"output": text[:10_000]})
