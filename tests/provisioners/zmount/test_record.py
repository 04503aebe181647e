"""The owner file of a disk."""

from __future__ import annotations

from pathlib import Path

import pytest

from provisioners.protocol import OwnerFile
from provisioners.zmount.record import DiskRecord


def test_a_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    owner = OwnerFile(tmp_path / "zmount" / "26-1000-data.json")
    assert DiskRecord.read(owner) is None
    record = DiskRecord("ef437fa6-dad3-4fc7-b051-ddfba12c575d", 1 << 40, complete=True)
    record.write(owner)
    assert DiskRecord.read(owner) == record


@pytest.mark.parametrize("content", [{}, {"pool": "p", "size": None, "complete": True}, {"tap": "t-1"}])
def test_somebody_elses_record_is_named(tmp_path: Path, content: dict[str, object]) -> None:
    owner = OwnerFile(tmp_path / "file.json")
    owner.write(content)
    with pytest.raises(ValueError, match="is not that of a disk"):
        DiskRecord.read(owner)
