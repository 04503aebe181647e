"""Which release the node says it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

import zosd
from zosd.version import running


def test_a_booted_node_says_its_image_and_another_one_its_package(tmp_path: Path) -> None:
    image, empty = tmp_path / "version", tmp_path / "empty"
    image.write_text("1.2.3+abcdef\n")
    empty.touch()
    assert running(image) == "1.2.3+abcdef"
    for nothing in (empty, tmp_path / "missing", tmp_path):
        assert running(nothing) == zosd.__version__


@pytest.mark.parametrize("content", [b"\xff\xfe", b"1" * 5000])
def test_a_spoilt_file_does_not_spoil_the_answer(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "version"
    file.write_bytes(content)
    assert len(running(file)) <= 100
