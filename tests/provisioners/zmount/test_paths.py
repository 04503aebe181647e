"""Names of disks never lead out of their folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioners.system.disk_class import DiskClass
from provisioners.system.pool import Pool
from provisioners.system.vdisks import owners, path_of

POOL = Pool("p", DiskClass.SSD, Path("/dev/sdz"), 1 << 40, Path("/pools/p"))


def test_a_disk_lies_in_the_folder_of_disks() -> None:
    assert path_of(POOL, "26-1000-data") == Path("/pools/p/vdisks/26-1000-data")


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/etc/passwd", ".new-x", "a\0b"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="invalid disk id"):
        path_of(POOL, name)


def test_a_pool_without_disks_has_no_owners() -> None:
    assert list(owners(POOL)) == []


def test_disks_belong_to_whom_they_are_named_after(tmp_path: Path) -> None:
    pool = Pool("p", DiskClass.SSD, Path("/dev/sdz"), 1 << 40, tmp_path)
    pool.vdisks.mkdir()
    for name in ("26-1000-data", ".new-26-1000-half", "lost+found", "26-1000-a b", "026-1000-x", "notes.txt"):
        (pool.vdisks / name).touch()
    assert {str(owner) for owner in owners(pool)} == {"26-1000-data", "26-1000-half"}
