"""Ids of generation 1 messages: `<destination>.<counter>` on the wire, `<id>.<destination>` in forward entries."""

from __future__ import annotations

import re
from typing import Final

from rmb.errors import MessageError

_UUID4: Final = re.compile(
    r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-4[0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}"
)


def counter_uid(destination: int, count: int) -> str:
    return f"{destination}.{count}"


def destination_of(uid: str) -> int | None:
    """The twin that a counter id was sent to; None for an id of another form."""
    twin, dot, count = uid.partition(".")
    return int(twin) if dot and _decimal(twin) and _decimal(count) else None


def split_forward_entry(entry: str) -> tuple[str, int]:
    """(message id, destination) of an entry `<id>.<twin>`, split at the last dot.  Raises MessageError."""
    message, dot, twin = entry.rpartition(".")
    if not dot or not _decimal(twin):
        raise MessageError(f"forward entry {entry!r} has no twin: expected <id>.<twin>")
    return message, int(twin)


def is_uuid4(text: str) -> bool:
    return _UUID4.fullmatch(text) is not None


def _decimal(text: str) -> bool:
    return text.isascii() and text.isdigit()
