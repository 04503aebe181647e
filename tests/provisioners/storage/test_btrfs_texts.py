"""What btrfs-progs 6.2 prints, read back."""

from __future__ import annotations

import pytest

from provisioners.system.btrfs import (
    Qgroup,
    Subvolume,
    parse_qgroups,
    parse_subvolumes,
    parse_superblock,
    parse_usage,
)
from provisioners.system.command import CommandFailed

USAGE = """\
Overall:
    Device size:\t\t        2147483648
    Device allocated:\t\t        1984692224
    Device unallocated:\t\t         162791424
    Device missing:\t\t                 0
    Device slack:\t\t                 0
    Used:\t\t\t        1074102272
    Free (estimated):\t\t         842268672\t(min: 760872960)
    Free (statfs, df):\t\t         841220096
    Data ratio:\t\t\t              1.00
    Metadata ratio:\t\t              2.00
    Global reserve:\t\t           5767168\t(used: 0)
    Multiple profiles:\t\t                no

Data,single: Size:1753219072, Used:1073741824 (61.24%)
   /dev/loop0\t1753219072

Metadata,DUP: Size:107347968, Used:163840 (0.15%)
   /dev/loop0\t 214695936

System,DUP: Size:8388608, Used:16384 (0.20%)
   /dev/loop0\t  16777216

Unallocated:
   /dev/loop0\t 162791424
"""

QGROUPS = """\
Qgroupid    Referenced    Exclusive  Max referenced  Max exclusive   Path
--------    ----------    ---------  --------------  -------------   ----
0/5              16384        16384            none           none   <toplevel>
0/256       1073758208   1073758208            none           none   vdisks
0/257                0            0       104857600           none   rootfs:1-2-x
"""

SUPERBLOCK = """\
superblock: bytenr=65536, device=/dev/loop0
---------------------------------------------------------
csum_type\t\t0 (crc32c)
csum_size\t\t4
csum\t\t\t0x2f9f2b1c [match]
magic\t\t\t_BHRfS_M [match]
fsid\t\t\tef437fa6-dad3-4fc7-b051-ddfba12c575d
label\t\t\ttest
num_devices\t\t1
"""


def test_usage() -> None:
    usage = parse_usage(USAGE)
    assert (usage.device_size, usage.unallocated) == (2147483648, 162791424)
    assert (usage.data_size, usage.data_used) == (1753219072, 1073741824)
    assert (usage.metadata_size, usage.metadata_used, usage.metadata_ratio) == (107347968, 163840, 2.0)
    assert usage.global_reserve == 5767168


def test_quota_groups_of_subvolumes_only() -> None:
    assert parse_qgroups(QGROUPS) == [Qgroup(256, 1073758208, 0), Qgroup(257, 0, 104857600)]


def test_subvolumes_with_nested_ones() -> None:
    text = "ID 256 gen 9 top level 5 path vdisks\nID 258 gen 10 top level 257 path rootfs:1-2-x/root/a\n"
    assert parse_subvolumes(text) == [Subvolume(256, "vdisks"), Subvolume(258, "rootfs:1-2-x/root/a")]


def test_superblock() -> None:
    found = parse_superblock(SUPERBLOCK)
    assert found.uuid == "ef437fa6-dad3-4fc7-b051-ddfba12c575d"
    assert (found.label, found.devices, found.intact) == ("test", 1, True)
    assert not parse_superblock(SUPERBLOCK.replace("0x2f9f2b1c [match]", "0x2f9f2b1c [DON'T MATCH]")).intact


def test_texts_that_say_nothing_are_failures() -> None:
    with pytest.raises(CommandFailed):
        parse_usage("ERROR: not a btrfs filesystem")
    with pytest.raises(CommandFailed):
        parse_superblock("")
