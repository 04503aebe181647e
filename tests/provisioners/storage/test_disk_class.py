"""The class of a disk is decided once and does not change with its load."""

from __future__ import annotations

from pathlib import Path

from provisioners.system.disk_class import DiskClass, decide, measure_access, needs_probe, parse_stored
from tests.shared import cases, report_count


def test_the_recorded_boots() -> None:
    case = cases("B072")
    stored = None
    for boot, expected in zip(case["input"]["boots"], case["expected"]["class"], strict=True):
        if boot.get("new_disk"):
            stored = None
        raid = boot.get("behind_raid", False)
        probe = boot["probe_us"] if isinstance(boot["probe_us"], int) else None
        if not needs_probe(override=None, stored=stored, transport=boot["transport"], behind_raid=raid):
            probe = None
        stored = decide(
            override=None,
            stored=stored,
            transport=boot["transport"],
            rotational=boot["rotational"],
            behind_raid=raid,
            probe_us=probe,
        )
        assert stored == expected.split()[0]
    report_count("B072 disk classes", len(case["input"]["boots"]))


def test_the_operator_has_the_last_word() -> None:
    for word in DiskClass:
        decided = decide(override=word, stored=DiskClass.SSD, transport="nvme", rotational=False)
        assert decided == word


def test_a_slow_or_silent_disk_behind_a_controller() -> None:
    def behind_raid(probe: float | None, *, rotational: bool) -> DiskClass:
        return decide(
            override=None,
            stored=None,
            transport="sas",
            rotational=rotational,
            behind_raid=True,
            probe_us=probe,
        )

    assert behind_raid(4000.0, rotational=False) == DiskClass.HDD
    assert behind_raid(None, rotational=True) == DiskClass.HDD
    assert behind_raid(None, rotational=False) == DiskClass.SSD


def test_a_stored_class_is_read_in_any_case_and_nonsense_is_none() -> None:
    assert parse_stored("SSD\n") == DiskClass.SSD
    assert parse_stored("hdd") == DiskClass.HDD
    assert parse_stored("") is None
    assert parse_stored("floppy") is None


async def test_a_probe_that_cannot_be_made_says_nothing(tmp_path: Path) -> None:
    assert await measure_access(tmp_path / "none", 1 << 20) is None
    file = tmp_path / "file"
    file.write_bytes(bytes(1 << 20))
    assert await measure_access(file, 1 << 20, seconds=-1.0) is None
