"""Only a disk that shows nothing may be formatted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from provisioners.system.blank_disk import MIN_DISK, BlockFacts, describe_signatures, why_not_blank
from tests.shared import cases, report_count


def facts(disk: dict[str, Any]) -> BlockFacts:
    return BlockFacts(
        path=Path("/dev/sdz"),
        size=disk.get("size", 1 << 40),
        signatures=tuple(disk.get("wipefs", [])),
        partitions=tuple(disk.get("parts", [])),
        holders=tuple(disk.get("holders", [])),
        mounts=("/srv",) if disk.get("mounted") else (),
        read_only=disk.get("ro", False),
    )


def test_which_disks_are_blank_and_why_not() -> None:
    case = cases("B071")
    disks, expected = case["input"]["disks"], case["expected"]
    reasons = [why_not_blank(facts(disk)) for disk in disks]
    assert [reason is None for reason in reasons] == expected["blank"]
    for reason, wanted in zip(reasons, expected["reasons"], strict=True):
        assert (reason or "").startswith(wanted or "")
    report_count("B071 blank disks", len(disks))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"swapping": True}, "used as swap"),
        ({"busy": True}, "in use elsewhere"),
        ({"removable": True}, "removable"),
        ({"transport": "usb"}, "USB disk"),
        ({"size": MIN_DISK - 1}, "too small"),
        ({"partitions": ("sdz1", "sdz2"), "signatures": ("gpt",)}, "partitions sdz1, sdz2"),
        ({"signatures": ("unheard_of",)}, "unheard_of"),
    ],
)
def test_everything_else_that_keeps_a_disk_from_being_taken(change: dict[str, Any], reason: str) -> None:
    blank: dict[str, Any] = {"path": Path("/dev/sdz"), "size": MIN_DISK}
    assert why_not_blank(BlockFacts(**blank)) is None
    assert (why_not_blank(BlockFacts(**(blank | change))) or "").startswith(reason)


def test_a_file_system_is_named_before_the_table_around_it() -> None:
    assert describe_signatures(("PMBR", "gpt")) == "empty gpt table"
    assert describe_signatures(("dos", "ntfs")) == "ntfs"
    assert describe_signatures(("ambivalent",)) == "ambivalent"
