"""The initrd's archive format, read back by the cpio of the distribution."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path

from images import cpio

ENTRIES = (
    cpio.folder("bin"),
    cpio.file("bin/tool", b"#!/bin/sh\n", 0o755),
    cpio.link("bin/alias", "tool"),
    cpio.file("empty", b""),
)


def test_cpio_reads_what_was_written(tmp_path: Path) -> None:
    subprocess.run(
        ["cpio", "--extract", "--quiet"], input=cpio.archive(ENTRIES), cwd=tmp_path, check=True, timeout=30
    )
    assert (tmp_path / "bin/tool").read_bytes() == b"#!/bin/sh\n"
    assert stat.S_IMODE((tmp_path / "bin/tool").stat().st_mode) == 0o755
    assert os.readlink(tmp_path / "bin/alias") == "tool"
    assert (tmp_path / "empty").read_bytes() == b""


def test_the_same_entries_give_the_same_bytes() -> None:
    first = cpio.archive(ENTRIES)
    assert first == cpio.archive(ENTRIES)
    assert len(first) % cpio.BLOCK == 0
