"""Mounts of disks that were taken out."""

from __future__ import annotations

from pathlib import Path

from images.boot.lost_disks import lost

POOLS, CACHE = Path("/run/zos/pools"), Path("/var/cache")
MOUNTINFO = """
22 1 0:20 / / rw,relatime - overlay root rw,lowerdir=/ro
40 22 0:41 / /run/zos/pools/one rw,noatime shared:7 - btrfs /dev/sda rw,ssd
41 22 0:42 / /run/zos/pools/two rw,noatime shared:8 master:1 - btrfs /dev/vdb rw,ssd
42 22 0:43 /zos-cache /var/cache rw,noatime - btrfs /dev/sda rw,ssd
43 22 0:44 / /var/cache-of-others rw - btrfs /dev/sda rw
44 42 0:45 / /var/cache/flist rw - tmpfs /dev/sda rw
spoilt line
45 22 0:46 / /run/zos/pools/odd rw
"""


def test_only_our_file_systems_on_disks_that_are_gone_are_let_go_from_the_inside_out() -> None:
    assert lost(MOUNTINFO, [POOLS, CACHE], lambda disk: disk != Path("/dev/sda")) == [CACHE, POOLS / "one"]
    assert lost(MOUNTINFO, [POOLS, CACHE], lambda disk: True) == []
    assert lost(MOUNTINFO, [], lambda disk: False) == []
