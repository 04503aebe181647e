"""What `zosd` finds wrong with its node is on the node's screen, as the doctor wrote it."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from images.boot.console import DOCTOR_FRESH_S, doctor_problems
from images.boot.screen import Colour, View, compose, report
from zosd.doctor import judgement
from zosd.doctor.doctor import REPORT, read_report


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A report as the daemon writes it, and reads it itself."""
    found = [
        judgement.clock(45.0),
        judgement.relay("relay.example.org", "name not found\x1b[2J"),
        judgement.registration(0, "no funds"),
        judgement.bus(""),
    ]
    report = {"time": time.time(), "findings": [finding.shown() for finding in found]}
    (tmp_path / REPORT).write_text(json.dumps(report))
    assert read_report(tmp_path, time.time()) == found
    return tmp_path / REPORT


def test_what_is_wrong_is_red_with_its_remedy(written: Path) -> None:
    problems = doctor_problems(written, time.time())
    assert len(problems) == 2, "what is well is not told, and registration has a line of its own"
    assert problems[0].startswith("clock: 45 s ahead of the chain; set the clock")
    assert problems[1].startswith("relay relay.example.org: ")
    assert all(text.isprintable() for text in problems)
    lines = {line.text: line.colour for line in compose(View(problems=problems), 1, 200, 40)}
    assert all(lines[text] is Colour.RED for text in problems)
    assert f"error: {problems[0]}" in report(View(problems=problems))


def test_a_report_that_is_old_says_that_the_daemon_hangs(written: Path) -> None:
    problems = doctor_problems(written, time.time() + DOCTOR_FRESH_S + 1)
    assert problems[-1].startswith("daemon: ")


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"time": 1, "findings": [{}]}', '{"time": "x"}'])
def test_a_report_that_cannot_be_read_is_none(tmp_path: Path, content: str) -> None:
    (tmp_path / REPORT).write_text(content)
    assert doctor_problems(tmp_path / REPORT, 1.0) == []
    (tmp_path / REPORT).unlink()
    assert doctor_problems(tmp_path / REPORT, 1.0) == []
