"""What btrfs has counted of a pool's disk going wrong, since the pool was made."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

SYSFS = Path("/sys/fs/btrfs")
MOST_BYTES = 4096


def errors(uuid: str, sysfs: Path = SYSFS) -> Mapping[str, int]:
    """Errors by kind (`write_errs`, `read_errs`, `flush_errs`, `corruption_errs`, `generation_errs`) that are not 0.

    Format: `/sys/fs/btrfs/<uuid>/devinfo/<device>/error_stats` of Linux 5.14 and later; older kernels tell nothing.
    """
    found: dict[str, int] = {}
    for file in sorted(sysfs.glob(f"{uuid}/devinfo/*/error_stats")):
        try:
            text = file.read_bytes()[:MOST_BYTES].decode("ascii", "replace")
        except OSError:
            continue  # a device that was taken out just now
        for line in text.splitlines():
            kind, _, count = line.partition(" ")
            if count.isdecimal() and int(count):
                found[kind] = found.get(kind, 0) + int(count)
    return found
