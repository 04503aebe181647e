"""The finished image: what is in it, and that building it again gives the same bytes."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest

from devgrid.bootstrap import cache_folder
from images import manifest
from images.node.build import FILES, PUBLIC_KEY, build

MOST = {"root.img": 170 << 20, "initrd-small": 4 << 20, "node.efi": 190 << 20, "node.iso": 200 << 20}
"""Bytes."""

pytestmark = [pytest.mark.root, pytest.mark.boots, pytest.mark.timeout(3600)]


def test_the_image_is_signed_complete_and_not_too_large(image: Path) -> None:
    found = manifest.verify(image, manifest.public_keys([image / PUBLIC_KEY]))
    assert {each.name for each in found.artefacts} >= set(FILES)
    for name, most in MOST.items():
        assert (image / name).stat().st_size < most, name
    listed = json.loads((image / "packages.json").read_text())
    assert listed["debian"]["redis-server"]
    assert listed["python"]["aiohttp"]
    if "firmware-bnx2" in listed["debian"]:
        assert [name for name in listed["firmware"] if name.startswith("bnx2/")]
        assert "firmware-bnx2" in (image / "licences.txt").read_text()
    assert "redis" in (image / "licences.txt").read_text()


def test_no_tool_and_no_key_is_in_the_root(image: Path) -> None:
    shown = subprocess.run(
        ["unsquashfs", "-l", "-d", "", str(image / "root.img")],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    ).stdout.splitlines()
    names = set(shown)
    assert "/sbin/init" in names or "/usr/sbin/init" in names
    for program in ("perl", "gcc", "apt", "pip3", "sshd", "login"):
        assert f"/usr/bin/{program}" not in names
    assert not [name for name in names if name.endswith(("release.key", "service.key", "id_ed25519"))]
    assert [name for name in names if name.endswith("release-keys/release.pub")]


def test_two_builds_give_the_same_bytes(image: Path, tmp_path: Path) -> None:
    cache = cache_folder()
    again = tmp_path / "again"
    (again / "node").mkdir(parents=True)
    for name in ("debs", "guest"):
        (again / name).symlink_to(cache / name)
    for entry in (cache / "node").iterdir():
        if entry.name not in ("image",) and not entry.name.startswith("build-"):
            (again / "node" / entry.name).symlink_to(entry)
    second = build(again)
    try:
        for name in FILES:
            assert (second / name).read_bytes() == (image / name).read_bytes(), name
    finally:
        shutil.rmtree(again)
