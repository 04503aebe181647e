"""A process is told from another that has its pid."""

from __future__ import annotations

import subprocess
from pathlib import Path

from devgrid.processes import ProcessMark


def test_a_mark_follows_its_process_and_no_other(tmp_path: Path) -> None:
    process = subprocess.Popen(["sleep", "60"])
    mark = ProcessMark.of(process.pid)
    mark.save(tmp_path / "mark")
    assert ProcessMark.load(tmp_path / "mark") == mark
    assert mark.alive
    stranger = ProcessMark(mark.pid, mark.started - 1, mark.boot)
    assert not stranger.alive
    stranger.kill()
    assert mark.alive, "a mark with another start time must not kill"
    mark.kill()
    process.wait(5)
    assert not mark.alive
    assert mark.wait(1)


def test_an_unreadable_mark_is_no_mark(tmp_path: Path) -> None:
    (tmp_path / "mark").write_text("{")
    assert ProcessMark.load(tmp_path / "mark") is None
