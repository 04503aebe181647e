"""Key files: written once and whole, for their owner only, never lost to a mistake."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from tfchain.key_file import KeyFileError
from tfchain.keys import KEY_TYPES, Identity, KeyType


@pytest.mark.parametrize("kind", KEY_TYPES)
@pytest.mark.parametrize("uri", ["0x" + "17" * 32, "//Alice//stash"])
def test_a_saved_key_is_the_same_key_when_loaded(tmp_path: Path, kind: KeyType, uri: str) -> None:
    path = tmp_path / "own" / "twin.key"
    identity = Identity(uri, kind)
    identity.save(path)
    loaded = Identity.load(path)
    assert (loaded.type, loaded.public_key) == (kind, identity.public_key)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    assert os.listdir(path.parent) == ["twin.key"]


def test_a_mode_is_not_widened_by_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        Identity.generate().save(tmp_path / "k")
    finally:
        os.umask(before)
    assert (tmp_path / "k").stat().st_mode & 0o777 == 0o600


def test_a_mnemonic_written_by_hand_is_read(tmp_path: Path) -> None:
    path = tmp_path / "k"
    path.write_text("\n  bottom drive obey lake curtain smoke basket hold race lonely fit walk \n")
    assert Identity.load(path, "sr25519").address == "5DfhGyQdFobKM8NsWvEeAKk5EQQgYe9AydgJ7rMB6E1EqRzV"


def test_a_key_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "k"
    first = Identity.generate()
    first.save(path)
    first.save(path)
    with pytest.raises(KeyFileError, match="another key"):
        Identity.generate().save(path)
    assert Identity.load(path).public_key == first.public_key
    assert os.listdir(tmp_path) == ["k"]


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\0", b"garbage of some kind", b"0x12", b"z" * 9000])
def test_an_undecodable_file_is_reported_and_kept(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "k"
    path.write_bytes(content)
    with pytest.raises(KeyFileError) as caught:
        Identity.load_or_generate(path)
    assert str(path) in str(caught.value)
    assert "garbage" not in str(caught.value)
    assert path.read_bytes() == content


def test_a_missing_file_is_told_from_a_bad_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        Identity.load(tmp_path / "k")
    made = Identity.load_or_generate(tmp_path / "k")
    assert Identity.load_or_generate(tmp_path / "k").public_key == made.public_key


def test_access_of_others_is_taken_away_and_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "k"
    path.write_text("0x" + "17" * 32)
    path.chmod(0o644)
    with caplog.at_level(logging.WARNING):
        Identity.load(path)
    assert path.stat().st_mode & 0o777 == 0o600
    assert str(path) in caplog.text
    assert "17" * 32 not in caplog.text
