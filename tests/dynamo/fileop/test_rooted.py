"""Files are moved and deleted below marked folders, and nothing else is touched."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
from dynamo.fileop.rooted import MARKER, copy_file, delete_file, opened_root, parts_of


def make_root(folder: Path, site: str) -> Path:
    root = folder / site
    root.mkdir()
    (root / MARKER).write_text(f"{site}\n")
    return root


@pytest.fixture
def roots(tmp_path: Path) -> tuple[Path, Path]:
    return make_root(tmp_path, "A"), make_root(tmp_path, "B")


def copy(roots: tuple[Path, Path], name: str, size: int) -> None:
    with opened_root(roots[0], "A") as source, opened_root(roots[1], "B") as target:
        copy_file(source, target, name, size, "dynamo-1")


def test_a_file_arrives_whole_and_a_second_copy_replaces_it(roots: tuple[Path, Path]) -> None:
    data = os.urandom(3 << 20)
    (roots[0] / "store" / "x").mkdir(parents=True)
    (roots[0] / "store" / "x" / "f").write_bytes(data)
    for _ in range(2):
        copy(roots, "/store/x/f", len(data))
        assert (roots[1] / "store" / "x" / "f").read_bytes() == data
    assert [path.name for path in (roots[1] / "store" / "x").iterdir()] == ["f"]


def test_a_file_of_another_size_is_refused_and_leaves_nothing(roots: tuple[Path, Path]) -> None:
    (roots[0] / "f").write_bytes(b"four")
    with pytest.raises(OSError, match="no file of 5 bytes") as caught:
        copy(roots, "/f", 5)
    assert caught.value.errno == errno.EBADMSG
    with pytest.raises(FileNotFoundError):
        copy(roots, "/missing", 5)
    assert [path.name for path in roots[1].iterdir()] == [MARKER]


@pytest.mark.parametrize("name", ["/../f", "/a/../../f", "", "/", "/./f", f"/{MARKER}", "/a\0b", "/x" * 65])
def test_a_name_that_leads_elsewhere_is_refused(name: str) -> None:
    with pytest.raises(OSError, match="is no name of a file below a site") as caught:
        parts_of(name)
    assert caught.value.errno == errno.EINVAL


def test_no_link_is_followed(roots: tuple[Path, Path], tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"four")
    (roots[0] / "folder").symlink_to(outside)
    (roots[0] / "link").symlink_to(outside / "secret")
    (roots[1] / "folder").symlink_to(outside)
    for name in ("/folder/secret", "/link"):
        with pytest.raises(OSError, match=r"symbolic links|Not a directory"):
            copy(roots, name, 4)
        with pytest.raises(OSError, match=r"is no file|Not a directory"), opened_root(roots[0], "A") as root:
            delete_file(root, name)
    (roots[0] / "real").write_bytes(b"four")
    assert (outside / "secret").exists()
    assert not (outside / "real").exists()
    linked = tmp_path / "linked"
    linked.symlink_to(roots[0])
    with pytest.raises(NotADirectoryError), opened_root(linked, "A"):
        pass


def test_a_folder_without_the_marker_of_its_site_is_left_alone(tmp_path: Path) -> None:
    plain = tmp_path / "plain"
    plain.mkdir()
    with pytest.raises(OSError, match=r"has no \.dynamo-site"), opened_root(plain, "A"):
        pass
    with pytest.raises(OSError, match="marked as the folder of 'A', not of 'B'"):
        with opened_root(make_root(tmp_path, "A"), "B"):
            pass


def test_a_deleted_file_takes_empty_folders_along(roots: tuple[Path, Path]) -> None:
    folder = roots[0] / "a" / "b"
    folder.mkdir(parents=True)
    (folder / "f").write_bytes(b"1")
    (roots[0] / "a" / "stays").write_bytes(b"1")
    with opened_root(roots[0], "A") as root:
        for _ in range(2):
            delete_file(root, "/a/b/f")
    assert sorted(path.name for path in (roots[0] / "a").iterdir()) == ["stays"]
    with pytest.raises(OSError, match="is no file; it is left alone"), opened_root(roots[0], "A") as root:
        delete_file(root, "/a")
