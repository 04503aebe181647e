"""Names of disks never lead out of their folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioners.system.disk_class import DiskClass
from provisioners.system.pool import Pool
from provisioners.system.vdisks import names, path_of

POOL = Pool("p", DiskClass.SSD, Path("/dev/sdz"), 1 << 40, Path("/pools/p"))


def test_a_disk_lies_in_the_folder_of_disks() -> None:
    assert path_of(POOL, "26-1000-data") == Path("/pools/p/vdisks/26-1000-data")


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/etc/passwd", ".new-x", "a\0b"])
def test_other_names_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="invalid disk id"):
        path_of(POOL, name)


def test_a_pool_without_disks_has_no_names() -> None:
    assert list(names(POOL)) == []
