"""Definition files and the shifting of lines, as recorded."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from dynamo.core.sequences.cursor import Cursor
from dynamo.core.sequences.definition import Execute, Step, Wait, parse_definition
from dynamo.core.sequences.wait_time import wait_seconds
from dynamo.dataformat import ConfigurationError

from tests.shared import report_count, vectors

STRICTER = {
    "no-space-after-mark": "Line 3",
    "terminate-suffix": "Line 2",
    "timeout-marks": "Line 5",
    "undefined-title": "Line 2",
    "unknown-line-ignored": "Line 3",
    "wait-negative": "Line 2",
}
"""Files whose faults the original passed over, and where ours sees them."""

LATER = {"checksum-mismatch", "unauthorised-writer", "missing-file"}
"""Faults that are found when the applications are looked at, not in the text."""

ENVIRONMENT = {"SEQDIR": "$(SEQDIR)", "CONF": "/etc/x"}


def _described(step: Step) -> dict[str, Any]:
    if isinstance(step, Execute):
        values = dataclasses.asdict(step)
        return {"command": "execute", "timeout_hours": values.pop("timeout"), **values}
    return (
        {"command": "wait", "seconds": step.seconds} if isinstance(step, Wait) else {"command": "terminate"}
    )


def test_definitions_are_read_as_recorded_and_faults_are_named() -> None:
    recorded = vectors("inventory")["sequences"]
    for case in recorded:
        name = case["name"]
        if name in LATER:
            parse_definition(case["text"], ENVIRONMENT)
            continue
        if name in STRICTER or "error" in case:
            with pytest.raises(ConfigurationError, match=STRICTER.get(name, "Line ")):
                parse_definition(case["text"], ENVIRONMENT)
            continue
        found = parse_definition(case["text"], ENVIRONMENT)
        assert {title: path for title, (path, _) in found.applications.items()} == case["applications"], name
        assert [sequence.name for sequence in found.sequences.values() if sequence.restart] == case["restart"]
        assert {
            sequence.name: [_described(step) for step in sequence.steps]
            for sequence in found.sequences.values()
        } == case["sequences"], name
    report_count("sequences", len(recorded))


def test_lines_shift_as_recorded() -> None:
    recorded = vectors("inventory")["sequence_shifts"]
    for case in recorded:
        cursor = Cursor(len(case["rows"]), is_ring=all(command != "terminate" for command, _ in case["rows"]))
        for step in case["steps"]:
            cursor.shift(step["shift_to"])
            assert (cursor.line, cursor.remaining()) == (step["current_line"], step["remaining_lines"]), case
    report_count("shifts of sequences", len(recorded))


def test_w16_a_sequence_that_has_ended_begins_again() -> None:
    cursor = Cursor(3, is_ring=False)
    cursor.shift(2)
    cursor.shift(3)
    assert cursor.line is None
    cursor.restart()
    assert cursor.remaining() == [0, 1, 2]


@pytest.mark.parametrize(
    "text", ["__import__('os')", "9**9**9", "2**3", "x", "", "1 if 1 else 2", "1/0", "True"]
)
def test_a_wait_is_arithmetic_and_nothing_else(text: str) -> None:
    with pytest.raises(ValueError, match="Wait time"):
        wait_seconds(text)


def test_a_wait_has_brackets() -> None:
    assert wait_seconds("(1 + 2) * 60 - 30") == 150
