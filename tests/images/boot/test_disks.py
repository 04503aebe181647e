"""What is a disk, and what is said of those that are not taken."""

from __future__ import annotations

from images.boot.disks import DiskLine, PciDevice, driverless, is_disk, pretty_size, why_no_cache
from provisioners.system.blank_disk import BlockFacts, why_not_blank
from tests.shared import cases, report_count


def test_the_recorded_disks_are_taken_or_left_with_the_reason() -> None:
    case = cases("B071")
    from pathlib import Path

    for disk, blank in zip(case["input"]["disks"], case["expected"]["blank"], strict=True):
        facts = BlockFacts(
            Path("/dev/sda"),
            disk.get("size", 1 << 40),
            signatures=tuple(disk.get("wipefs", ())),
            holders=tuple(disk.get("holders", ())),
            mounts=("/mnt",) if disk.get("mounted") else (),
            read_only=disk.get("ro", False),
        )
        assert (why_not_blank(facts) is None) == blank, disk
    report_count("B071", len(case["input"]["disks"]))


def test_names_of_disks() -> None:
    assert all(map(is_disk, ("sda", "vdb", "nvme0n1", "xvda", "hda")))
    assert not any(map(is_disk, ("loop0", "ram3", "zram0", "sr0", "fd0", "dm-1", "md0", "nbd3")))


def test_a_controller_without_driver_is_named() -> None:
    raid = PciDevice("0000:03:00.0", "0x010400", "0x1000", "0x005d")
    fine = PciDevice("0000:00:1f.2", "0x010601", "0x8086", "0x2922", "ahci")
    other = PciDevice("0000:00:02.0", "0x030000", "0x1234", "0x1111")
    (said,) = driverless([raid, fine, other])
    assert "RAID controller 1000:005d at 0000:03:00.0" in said


def test_why_there_is_no_place_for_the_cache() -> None:
    line = DiskLine("/dev/sda", False, "empty gpt table")
    assert why_no_cache(["ssd"], False, []) == ""
    assert why_no_cache(["hdd"], True, []) == ""
    assert "missing-ssd" in why_no_cache(["hdd"], False, [])
    assert "no disk found" in why_no_cache([], True, [])
    assert "/dev/sda (empty gpt table)" in why_no_cache([], False, [line])


def test_sizes_as_disks_are_sold() -> None:
    assert [pretty_size(size) for size in (512, 2_000_000_000, 128_849_018_880, 4 * 10**12)] == [
        "512 B",
        "2.0 GB",
        "129 GB",
        "4.0 TB",
    ]
