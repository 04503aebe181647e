"""Write cpio archives in the "newc" format, which the Linux kernel unpacks as initramfs.

Format: kernel documentation, `driver-api/early-userspace/buffer-format`.  The archive depends on nothing but its
entries: owner is always root, times are zero, inode numbers count up.
"""

from __future__ import annotations

import stat
from collections.abc import Iterable
from dataclasses import dataclass

BLOCK = 512
"""Archives are padded to a multiple of this many bytes."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, folder or link; `name` is relative to the root, without a leading slash."""

    name: str
    mode: int
    """Type and permission bits, as in `st_mode`."""
    content: bytes = b""
    """File content, or the target of a symbolic link."""


def folder(name: str, permissions: int = 0o755) -> Entry:
    return Entry(name, stat.S_IFDIR | permissions)


def file(name: str, content: bytes, permissions: int = 0o644) -> Entry:
    return Entry(name, stat.S_IFREG | permissions, content)


def link(name: str, target: str) -> Entry:
    return Entry(name, stat.S_IFLNK | 0o777, target.encode())


def archive(entries: Iterable[Entry]) -> bytes:
    """Return the archive with `entries` in the given order; a folder has to stand before what is in it."""
    parts = [_member(number, entry) for number, entry in enumerate(entries, start=1)]
    parts.append(_member(0, Entry("TRAILER!!!", 0)))
    joined = b"".join(parts)
    return joined + bytes(-len(joined) % BLOCK)


def _member(inode: int, entry: Entry) -> bytes:
    name = entry.name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    # c_ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor, namesize, check
    fields = (inode, entry.mode, 0, 0, links, 0, len(entry.content), 0, 0, 0, 0, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    return head + bytes(-len(head) % 4) + entry.content + bytes(-len(entry.content) % 4)
