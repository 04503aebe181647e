"""Firmware of cards: only what the modules name, and nothing from outside the packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from images.debian import PackageCache
from images.node import firmware


def test_named_files_are_copied_and_links_followed_inside_alone(tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    (source / "bnx2").mkdir(parents=True)
    (source / "bnx2/a.fw").write_bytes(b"a")
    (source / "bnx2/b.fw").symlink_to("a.fw")
    (source / "c.fw").symlink_to("/etc/hostname")
    (source / "unasked.fw").write_bytes(b"x")
    names = ["bnx2/a.fw", "bnx2/b.fw", "c.fw", "missing.fw", "../outside"]
    assert firmware.copy(source, names, target) == ["bnx2/a.fw", "bnx2/b.fw"]
    assert (target / "bnx2/b.fw").read_bytes() == b"a"
    assert not (target / "bnx2/b.fw").is_symlink()
    assert sorted(file.name for file in target.rglob("*") if file.is_file()) == ["a.fw", "b.fw"]


def test_an_image_may_do_without(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("ZOS_FIRMWARE", firmware.NONE)
    found = firmware.add(PackageCache(tmp_path), [], tmp_path / "tree", tmp_path)
    assert found.missing
    assert (found.files, found.versions) == ((), {})
    assert firmware.wanted([]) == []
