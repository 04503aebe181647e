"""Every failure and every complaint that the specification lists has a test that bears its number."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

FAULTS = [f"f{number}" for number in range(1, 11)]
COMPLAINTS = [f"b{number}" for number in range(1, 21)]


@pytest.mark.parametrize("name", FAULTS + COMPLAINTS)
def test_it_has_a_test_of_its_own(name: str) -> None:
    sources = (path.read_text() for path in Path(__file__).parent.rglob("test_*.py"))
    assert any(re.search(rf"def test_{name}_[a-z0-9_]+\(", source) for source in sources)
