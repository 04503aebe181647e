"""The generated code is what the compiler makes of our `.proto`."""

from __future__ import annotations

from pathlib import Path

import pytest

from rmb.gen2 import regenerate


def test_generating_anew_changes_nothing(tmp_path: Path) -> None:
    pytest.importorskip("grpc_tools", reason="the compiler is part of the development packages")
    regenerate.main(tmp_path)
    for name in ("envelope_pb2.py", "envelope_pb2.pyi"):
        assert (tmp_path / name).read_text() == (regenerate.FOLDER / name).read_text()
