"""One folder for downloads and images, whoever asks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from devgrid import bootstrap
from images.cache_folder import cache_folder


@pytest.mark.parametrize("uid", [0, 1000])
def test_set_up_and_images_agree(monkeypatch: pytest.MonkeyPatch, uid: int, tmp_path: Path) -> None:
    monkeypatch.delenv("ZOS_CACHE", raising=False)
    monkeypatch.setattr(os, "geteuid", lambda: uid)
    assert cache_folder() == bootstrap.cache_folder()
    monkeypatch.setenv("ZOS_CACHE", str(tmp_path))
    assert cache_folder() == bootstrap.cache_folder() == tmp_path


@pytest.mark.parametrize("program", ["images.node", "images.rootfs", "images.guest", "images.bootstrap.cli"])
def test_every_program_that_makes_or_reads_an_image_follows_the_variable(
    program: str, tmp_path: Path
) -> None:
    told = subprocess.run(
        [sys.executable, "-m", program, "--help"],
        env={**os.environ, "ZOS_CACHE": str(tmp_path), "COLUMNS": "500"},
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert str(tmp_path) in told.stdout
