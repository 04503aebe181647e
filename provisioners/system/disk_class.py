"""The class of a disk: decided once, then stored, and never changed by how busy the disk is (decision 64).

`decide` is pure.  `measure_access` is the probe that it may ask for, after the way of Zero-OS' `seektime`.
"""

from __future__ import annotations

import asyncio
import mmap
import os
import random
import time
from enum import StrEnum
from pathlib import Path


class DiskClass(StrEnum):
    """What a pool is good for: virtual disks and root volumes lie on `ssd` only."""

    SSD = "ssd"
    HDD = "hdd"


PROBE_LIMIT_US = 500.0
"""A disk behind a RAID controller that answers faster on average is an SSD, as Zero-OS' `seektime` has it."""
PROBE_SECONDS = 5.0
_SAMPLES = 128
_BLOCK = 4096


def parse_stored(text: str) -> DiskClass | None:
    """The content of a pool's `.seektime` file; None when it says nothing that we know."""
    try:
        return DiskClass(text.strip().lower())
    except ValueError:
        return None


def needs_probe(
    *, override: DiskClass | None, stored: DiskClass | None, transport: str, behind_raid: bool
) -> bool:
    """A RAID controller hides what is behind it; everywhere else the kernel's flag is right."""
    return override is None and stored is None and transport != "nvme" and behind_raid


def decide(
    *,
    override: DiskClass | None,
    stored: DiskClass | None,
    transport: str,
    rotational: bool,
    behind_raid: bool = False,
    probe_us: float | None = None,
) -> DiskClass:
    """Say what a disk is: the operator's word, then what was stored, then transport, probe and flag.

    `probe_us` is the mean access time in microseconds, None when the probe was not needed or timed out.
    """
    if override is not None:
        return override
    if stored is not None:
        return stored
    if transport == "nvme":
        return DiskClass.SSD
    if behind_raid and probe_us is not None:
        return DiskClass.SSD if probe_us < PROBE_LIMIT_US else DiskClass.HDD
    return DiskClass.HDD if rotational else DiskClass.SSD


async def measure_access(device: Path, size: int, *, seconds: float = PROBE_SECONDS) -> float | None:
    """Mean time of a random read in microseconds, past the page cache; None when it could not be measured in time."""
    return await asyncio.to_thread(_measure, device, size, seconds)


def _measure(device: Path, size: int, seconds: float) -> float | None:
    end = time.monotonic() + seconds
    try:
        descriptor = os.open(device, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        with mmap.mmap(-1, _BLOCK) as page:  # page aligned, as O_DIRECT wants it
            taken = 0.0
            for _ in range(_SAMPLES):
                offset = random.randrange(max(1, size // _BLOCK)) * _BLOCK
                start = time.monotonic()
                os.preadv(descriptor, [page], offset)
                taken += time.monotonic() - start
                if time.monotonic() > end:
                    return None
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return taken / _SAMPLES * 1e6
