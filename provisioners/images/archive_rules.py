"""What an archive may ask for, and how much.  Pure; standard library only, as it runs in the unpacker's cage.

Whoever wrote the archive is a stranger.  Names that try to lead out refuse the whole archive; things that a guest
makes for itself at boot (devices) are left out; everything else is kept as it is written: owners, modes with setuid,
setgid and sticky bits, texts of links, hard links, times and file capabilities.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

MAX_PATH = 4095
MAX_NAME = 255
MAX_ID = (1 << 32) - 2
MAX_MTIME = (1 << 34) - 1
"""What btrfs and ext4 with large inodes both hold (year 2514)."""
MAX_ATTRIBUTE = 65535

_ATTRIBUTE = "SCHILY.xattr."
_KEPT_NAMESPACES = ("user.",)
_KEPT_ATTRIBUTES = ("security.capability",)


class ArchiveRefused(Exception):
    """The archive as a whole is refused; the message is for whoever chose it."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What one archive may unpack to."""

    bytes: int = 64 << 30
    """Of the tar stream, so also of the sum of all files."""
    entries: int = 2_000_000
    seconds: int = 1800


def parts_of(name: str) -> tuple[str, ...]:
    """The components of a member's name below the root; empty for the root itself.

    A leading `/` counts from the target, as every tar program has it.  Raises ArchiveRefused.
    """
    if "\0" in name:
        raise ArchiveRefused(f"entry {_shown(name)} has a zero byte in its name")
    parts = tuple(part for part in name.split("/") if part not in ("", "."))
    if ".." in parts:
        raise ArchiveRefused(f"entry {_shown(name)} leads out of the image ('..')")
    if len(_bytes(name)) > MAX_PATH or any(len(_bytes(part)) > MAX_NAME for part in parts):
        raise ArchiveRefused(f"entry {_shown(name)} has too long a name")
    return parts


def link_text(name: str, target: str) -> str:
    """The text of a symbolic link: kept as it is, as only the guest ever follows it.  Raises ArchiveRefused."""
    if not target or "\0" in target or len(_bytes(target)) > MAX_PATH:
        raise ArchiveRefused(f"symbolic link {_shown(name)} has no valid target")
    return target


def owner(name: str, uid: int, gid: int) -> tuple[int, int]:
    if not (0 <= uid <= MAX_ID and 0 <= gid <= MAX_ID):
        raise ArchiveRefused(f"entry {_shown(name)} has the owner {uid}:{gid}, which does not exist")
    return uid, gid


def mtime(seconds: float) -> float:
    """A time that every file system takes; what is no number is the epoch."""
    return min(seconds, float(MAX_MTIME)) if seconds > 0 else 0.0


def attributes(headers: Mapping[str, str]) -> dict[str, bytes]:
    """Extended attributes to keep, from a member's pax headers (`SCHILY.xattr.*`, as GNU tar writes them).

    Attributes that only the machine itself may set (`trusted.*`, labels of security modules) are left out.
    """
    kept = {}
    for key, text in headers.items():
        name = key.removeprefix(_ATTRIBUTE)
        if name == key:
            continue
        if name in _KEPT_ATTRIBUTES or name.startswith(_KEPT_NAMESPACES):
            value = _bytes(text)
            if len(value) > MAX_ATTRIBUTE or len(name) > MAX_NAME:
                raise ArchiveRefused(f"extended attribute {_shown(name)} is too large")
            kept[name] = value
    return kept


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _shown(name: str) -> str:
    """A stranger's text, short and printable."""
    return ascii(name if len(name) <= 80 else name[:77] + "...")
