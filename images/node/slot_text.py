"""The farm slot: a place of fixed size in a finished image where the words of one farm are written.  Pure.

In a UKI (and in a disk image that holds one) it is the blank end of the kernel's command line behind a marker, in an
ISO a file of one sector that GRUB reads.  Patching never changes a size, and equal words give equal bytes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Protocol

UKI_MARKER = b"node.slot=v1 "
UKI_SIZE = 2040
"""Bytes of the whole command line in a UKI; the kernel takes 2047 characters."""
ISO_MARKER = b"#NODE-FARM-SLOT-v1#\n"
ISO_SIZE = 2048
"""Bytes of `farm.cfg`, one sector."""
KERNEL_LIMIT = 2047
BASE_ROOM = 160
"""Characters that an image's own words take at most; what is behind the limit is cut silently."""
_ALLOWED = re.compile(r"[ -~]*")
_FORBIDDEN = "\"'$\\`"


class SlotTextError(ValueError):
    """Words that cannot be written, or an image without exactly one slot."""


class Bytes(Protocol):
    """What bytes and memory maps have in common."""

    def find(self, sub: bytes, start: int = ..., /) -> int: ...

    def __getitem__(self, index: slice, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Patch:
    """Bytes to be written at an offset of the image."""

    offset: int
    content: bytes


def check(text: str, room: int) -> str:
    """The words if they can stand in a slot.  Raises SlotTextError."""
    if not _ALLOWED.fullmatch(text) or any(character in text for character in _FORBIDDEN):
        raise SlotTextError(
            "only printable ASCII without quotes, $, ` and backslash can be put into an image"
        )
    if len(text) > room:
        raise SlotTextError(f"{len(text)} characters, {room} fit into this image")
    return text


def command_line(base: str) -> bytes:
    """The command line of a UKI with an empty slot."""
    head = f"{base} ".encode() + UKI_MARKER
    if len(head) > UKI_SIZE - 1000:
        raise SlotTextError(
            f"the base command line has {len(base)} characters; too little is left for a farm"
        )
    return head.ljust(UKI_SIZE, b" ")


def farm_file(text: str = "") -> bytes:
    """`farm.cfg` of an ISO.  Raises SlotTextError."""
    head, tail = ISO_MARKER + b'set farm="', b'"\n#'
    room = min(ISO_SIZE - len(head) - len(tail) - 1, KERNEL_LIMIT - BASE_ROOM)
    body = head + check(text, room).encode() + tail
    return body.ljust(ISO_SIZE - 1, b"#") + b"\n"


def patch(image: Bytes, text: str) -> Patch:
    """Where the words go and as which bytes.  Raises SlotTextError."""
    for marker, make in ((ISO_MARKER, _in_iso), (UKI_MARKER, _in_uki)):
        offset = image.find(marker)
        if offset < 0:
            continue
        if image.find(marker, offset + 1) >= 0:
            raise SlotTextError("the image has more than one farm slot: it is not one of ours, or damaged")
        return make(image, offset, text)
    raise SlotTextError("the image has no farm slot: take one that `make image` made")


def _in_iso(image: Bytes, offset: int, text: str) -> Patch:
    return Patch(offset, farm_file(text))


def _in_uki(image: Bytes, offset: int, text: str) -> Patch:
    start = offset + len(UKI_MARKER)
    line_start = offset
    while line_start > max(0, offset - UKI_SIZE) and 32 <= image[line_start - 1 : line_start][0] <= 126:
        line_start -= 1
    room = line_start + UKI_SIZE - start
    return Patch(start, check(text, room).encode().ljust(room, b" "))


def words(mode: str, farm: int = 0, extra: str = "") -> str:
    """The words of one farm in the order that nodes expect."""
    parts = [f"runmode={mode}", f"farmer_id={farm}" if farm else "", extra.strip()]
    return " ".join(part for part in parts if part)
