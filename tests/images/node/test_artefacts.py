"""Slots, manifests and signatures, over small files."""

from __future__ import annotations

import mmap
import os
import struct
from pathlib import Path

import pytest

from images import manifest
from images.debian import ImageError
from images.manifest import ManifestError
from images.node import slot_text, uki
from images.node.slot_text import SlotTextError

UKI = b"\0" * 100 + slot_text.command_line(uki.BASE_LINE) + b"\0" * 5000
ISO = b"\0" * 2048 + slot_text.farm_file() + b"rest" * 999


def patched(image: bytes, text: str) -> bytes:
    change = slot_text.patch(image, text)
    return image[: change.offset] + change.content + image[change.offset + len(change.content) :]


@pytest.mark.parametrize("image", [UKI, ISO])
def test_words_go_into_the_slot_and_nothing_else_changes(image: bytes) -> None:
    found = patched(image, "runmode=dev farmer_id=7 a=b")
    assert len(found) == len(image)
    assert b"runmode=dev farmer_id=7 a=b" in found
    assert found.replace(b"runmode=dev farmer_id=7 a=b", b"") != image
    assert patched(found, "runmode=dev farmer_id=7 a=b") == found
    assert patched(found, "") == image


def test_the_command_line_of_a_uki_is_complete_and_short_enough_for_a_kernel() -> None:
    line = patched(UKI, "runmode=dev farmer_id=7")[100:].partition(b"\0")[0].decode()
    assert line.split() == [*uki.BASE_LINE.split(), "node.slot=v1", "runmode=dev", "farmer_id=7"]
    assert len(line) <= slot_text.KERNEL_LIMIT


@pytest.mark.parametrize("image", [UKI, ISO])
@pytest.mark.parametrize("text", ['a"b', "a'b", "a$b", "a\\b", "ä", "a\nb", "x" * 2000])
def test_what_a_boot_loader_could_misread_is_refused(image: bytes, text: str) -> None:
    with pytest.raises(SlotTextError):
        slot_text.patch(image, text)


def test_an_image_without_exactly_one_slot_is_refused() -> None:
    for image in (b"", b"nothing", UKI + UKI, ISO + ISO):
        with pytest.raises(SlotTextError):
            slot_text.patch(image, "a=b")


def test_a_memory_map_is_patched_like_bytes(tmp_path: Path) -> None:
    (tmp_path / "image").write_bytes(UKI)
    with (
        (tmp_path / "image").open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        assert slot_text.patch(content, "a=b") == slot_text.patch(UKI, "a=b")


def test_the_time_in_an_efi_program_is_fixed() -> None:
    head = bytearray(4096)
    struct.pack_into("<I", head, 0x3C, 0x80)
    head[0x80:0x84] = b"PE\0\0"
    assert uki.fixed_fields(bytes(head), 77) == [(0x88, 77), (0xD8, 0)]
    with pytest.raises(ImageError):
        uki.fixed_fields(bytes(4096), 77)


def test_a_signed_folder_is_good_and_every_change_is_found(tmp_path: Path) -> None:
    folder = tmp_path / "image"
    folder.mkdir()
    for name in ("a", "b"):
        (folder / name).write_bytes(name.encode() * 1000)
    key = manifest.load_or_make_key(tmp_path / "keys/release.key")
    public = [key.public_key().public_bytes_raw()]
    manifest.sign(folder, manifest.describe(folder, ["b", "a"], "1.0", 5), key)
    found = manifest.verify(folder, public)
    assert (found.version, [each.name for each in found.artefacts]) == ("1.0", ["a", "b"])

    (folder / "b").unlink()
    manifest.verify(folder, public)
    with pytest.raises(ManifestError, match="missing"):
        manifest.verify(folder, public, ["b"])
    (folder / "a").write_bytes(b"A" * 1000)
    with pytest.raises(ManifestError, match="not what was signed"):
        manifest.verify(folder, public)
    text = folder / manifest.NAME
    text.write_text(text.read_text().replace("1.0", "2.0"))
    with pytest.raises(ManifestError, match="not signed"):
        manifest.verify(folder, public)


def test_a_foreign_key_does_not_vouch(tmp_path: Path) -> None:
    (tmp_path / "a").touch()
    manifest.sign(
        tmp_path, manifest.describe(tmp_path, ["a"], "1", 1), manifest.load_or_make_key(tmp_path / "one")
    )
    other = manifest.load_or_make_key(tmp_path / "two").public_key().public_bytes_raw()
    with pytest.raises(ManifestError, match="not signed"):
        manifest.verify(tmp_path, [other, b"short"])


def test_a_test_key_is_its_owner_s_alone_and_made_once(tmp_path: Path) -> None:
    file = tmp_path / "keys/release.key"
    first = manifest.load_or_make_key(file)
    assert os.stat(file).st_mode & 0o777 == 0o600
    assert manifest.load_or_make_key(file).private_bytes_raw() == first.private_bytes_raw()


@pytest.mark.parametrize(
    "text", ["", "version 1\n", "version 1\nepoch x\n", "version 1\nepoch 1\n../a b c\n", "x" * 99999]
)
def test_a_manifest_that_is_none(text: str) -> None:
    with pytest.raises(ManifestError):
        manifest.parse(text)
