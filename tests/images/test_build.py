"""Recipes: what is asked of Debian, what ends up in the images, and when nothing is to be done."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Sequence
from pathlib import Path

import pytest

from images import cpio, debian
from images.debian import ImageError, PackageCache, kernel_dependency
from images.guest import build as guest
from images.rootfs import build as rootfs
from tests.host.zmachine.lab import CACHE


def test_the_meta_package_names_the_kernel() -> None:
    shown = "Package: linux-image-cloud-amd64\nDepends: linux-image-6.1.0-56-cloud-amd64 (= 6.1.192-2)\n"
    assert kernel_dependency(shown) == "linux-image-6.1.0-56-cloud-amd64"


def test_a_meta_package_without_a_kernel_is_an_error_with_a_remedy() -> None:
    with pytest.raises(ImageError, match="apt-get update"):
        kernel_dependency("Package: linux-image-cloud-amd64\nDepends: libc6\n")


def test_modules_come_in_the_order_in_which_they_are_loaded() -> None:
    shown = "insmod /t/virtio_ring.ko\nbuiltin ext4\ninsmod /t/virtio.ko \n"
    assert guest.dependency_paths(shown) == [Path("/t/virtio_ring.ko"), Path("/t/virtio.ko")]


def test_the_initrd_holds_its_modules_in_load_order(tmp_path: Path) -> None:
    modules = [tmp_path / name for name in ("b.ko", "a.ko")]
    for module in modules:
        module.write_bytes(module.name.encode())
    entries = {entry.name: entry for entry in guest.initrd_entries(b"busybox", modules)}
    assert entries["lib/mods/order"].content == b"b.ko\na.ko\n"
    assert entries["init"].mode & 0o111
    assert entries["bin/switch_root"].content == b"busybox"


def test_a_finished_image_is_not_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = tmp_path / "guest"
    target.mkdir()
    for name in ("vmlinuz", "initrd"):
        (target / name).write_text(name)
    (target / "manifest.json").write_bytes(guest.describe(target, guest.recipe_hash(), "6.1", (), ()))

    def no_network(*_: object, **__: object) -> str:
        raise AssertionError("nothing may be run")

    monkeypatch.setattr(debian, "run_tool", no_network)
    assert guest.build(tmp_path) == target
    (target / "initrd").write_text("damaged")
    assert not guest.is_current(target, guest.recipe_hash())
    assert not guest.is_current(target, "another recipe")


def test_a_package_is_downloaded_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def apt(command: Sequence[str], timeout: float, cwd: Path | None = None) -> str:
        ran.append(command[0])
        if command[0] == "apt-get":
            (tmp_path / "thing_1.0_amd64.deb").write_text("deb")
        return "1.0\n"

    monkeypatch.setattr(debian, "run_tool", apt)
    first = PackageCache(tmp_path).fetch(["thing"])["thing"]
    assert (first.version, first.file) == ("1.0", "thing_1.0_amd64.deb")
    ran.clear()
    assert PackageCache(tmp_path).fetch(["thing"])["thing"] == first
    assert ran == []
    (tmp_path / first.file).unlink()
    PackageCache(tmp_path).fetch(["thing"])
    assert "apt-get" in ran


def test_the_archive_is_the_same_every_time() -> None:
    entries = [cpio.folder("tmp", 0o1777), cpio.file("etc", b"text"), cpio.link("sh", "busybox")]
    raw = rootfs.archive(entries)
    assert raw == rootfs.archive(entries)
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(raw))) as tar:
        members = tar.getmembers()
    assert [(m.name, m.mode, m.uid, m.mtime) for m in members] == [
        ("tmp", 0o1777, 0, 0),
        ("etc", 0o644, 0, 0),
        ("sh", 0o777, 0, 0),
    ]
    assert members[2].linkname == "busybox"


def test_the_built_images_name_what_they_are_made_of() -> None:
    found = [folder / "manifest.json" for folder in (CACHE / "guest", CACHE / "rootfs")]
    if not all(path.exists() for path in found):
        pytest.skip("the images are not built: make setup")
    for path in found:
        manifest = json.loads(path.read_text())
        assert manifest["format"] == 1
        assert "busybox-static" in manifest["packages"]
