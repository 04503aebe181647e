"""The reference in the documentation is what the docstrings say."""

from __future__ import annotations

from pathlib import Path

from tests.oio.reference_page import page


def test_the_reference_is_made_from_the_docstrings() -> None:
    path = Path(__file__).resolve().parents[2] / "docs" / "oio" / "reference.md"
    assert path.read_text() == page(), "python -m tests.oio.reference_page > docs/oio/reference.md"
