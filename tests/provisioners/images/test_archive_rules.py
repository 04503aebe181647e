"""What an archive may ask for."""

from __future__ import annotations

import pytest

from provisioners.images.archive_rules import (
    MAX_MTIME,
    ArchiveRefused,
    attributes,
    link_text,
    mtime,
    owner,
    parts_of,
)


def test_names_below_the_root() -> None:
    assert parts_of("./usr//bin/./su") == ("usr", "bin", "su")
    assert parts_of("/etc/passwd") == ("etc", "passwd")
    assert parts_of(".") == parts_of("/") == ()
    assert parts_of("a..b/...") == ("a..b", "...")


@pytest.mark.parametrize("name", ["../x", "a/../../x", "/..", "a\0b", "a" * 256, "a/" * 2100])
def test_names_that_are_refused(name: str) -> None:
    with pytest.raises(ArchiveRefused):
        parts_of(name)


def test_link_texts_are_kept_as_they_are() -> None:
    assert link_text("l", "../../etc/passwd") == "../../etc/passwd"
    for target in ("", "a\0b", "x" * 5000):
        with pytest.raises(ArchiveRefused):
            link_text("l", target)


def test_owners_have_32_bits() -> None:
    assert owner("f", 1000, 0) == (1000, 0)
    for uid in (-1, (1 << 32) - 1, 1 << 40):
        with pytest.raises(ArchiveRefused):
            owner("f", uid, 0)


def test_times_stay_in_what_file_systems_hold() -> None:
    assert mtime(1.5) == 1.5
    assert mtime(-5) == 0
    assert mtime(1e30) == mtime(float("inf")) == MAX_MTIME
    assert mtime(float("nan")) == 0


def test_only_attributes_for_the_guest_are_kept() -> None:
    headers = {
        "SCHILY.xattr.security.capability": "\x01\x00\x00\x02",
        "SCHILY.xattr.user.note": "ä",
        "SCHILY.xattr.trusted.overlay.opaque": "y",
        "SCHILY.xattr.security.selinux": "x",
        "SCHILY.xattr.system.posix_acl_access": "x",
        "mtime": "1",
    }
    assert attributes(headers) == {"security.capability": b"\x01\x00\x00\x02", "user.note": "ä".encode()}
    with pytest.raises(ArchiveRefused):
        attributes({"SCHILY.xattr.user.big": "x" * 70_000})
