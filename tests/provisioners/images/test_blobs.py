"""Archives on disk."""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from pathlib import Path

import pytest

from provisioners.images.blobs import BlobCache, Ref


def put(cache: BlobCache, content: bytes, *, age: float = 0.0) -> str:
    sha256 = hashlib.sha256(content).hexdigest()
    with cache.new_file() as path:
        path.write_bytes(content)
        kept = cache.keep(path, sha256)
    os.utime(kept, (time.time() - age,) * 2)
    return sha256


def test_an_archive_is_found_by_its_content(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path / "images", 1000)
    sha256 = put(cache, b"one")
    found = cache.find(sha256)
    assert found is not None
    assert found.read_bytes() == b"one"
    assert cache.find("0" * 64) is None
    with pytest.raises(ValueError, match="not a SHA-256"):
        cache.find("../../etc/passwd")


def test_what_was_used_longest_ago_goes_first(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path, 100)
    old, older = put(cache, b"a" * 40, age=8000), put(cache, b"b" * 40, age=9000)
    new = put(cache, b"c" * 40)
    assert cache.find(older) is None
    assert cache.find(old) is not None
    assert cache.find(new) is not None


def test_what_may_be_in_use_stays_even_when_the_cache_is_over_full(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path, 50)
    kept = [put(cache, bytes([number]) * 40) for number in range(3)]
    assert all(cache.find(sha256) for sha256 in kept)


def test_a_cache_that_vanished_is_made_again(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path / "images", 1000)
    put(cache, b"one")
    shutil.rmtree(tmp_path / "images")
    assert cache.ref("http://x/") is None
    assert cache.find(put(cache, b"two")) is not None


def test_half_downloads_of_an_earlier_life_are_removed(tmp_path: Path) -> None:
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "half").write_bytes(b"x")
    with BlobCache(tmp_path, 1000).new_file() as path:
        assert [entry.name for entry in (tmp_path / "new").iterdir()] == [path.name]
    assert list((tmp_path / "new").iterdir()) == []


def test_notes_are_kept_and_broken_ones_ignored(tmp_path: Path) -> None:
    cache = BlobCache(tmp_path, 1000)
    ref = Ref("http://x/i.tar", "ab" * 32, "cd" * 16, etag='"1"')
    cache.remember(ref)
    assert cache.ref(ref.url) == ref
    [note] = (tmp_path / "refs").iterdir()
    for broken in ("{", "[]", '{"url": "http://x/i.tar"}', '{"url": 1, "sha256": 2, "md5": 3}'):
        note.write_text(broken)
        assert cache.ref(ref.url) is None
