"""Addresses on the relays: a twin, or one of its sessions."""

from __future__ import annotations

from typing import Final, NamedTuple

from rmb.errors import MessageError

_MAX_TWIN: Final = 2**32 - 1
_MAX_DIGITS: Final = 20


class Session(NamedTuple):
    """`connection` None is the twin's nil session, which is another one than the session with the empty name.

    A tuple, because a relay makes one and looks it up for every message that passes.
    """

    twin: int
    connection: str | None = None

    @classmethod
    def parse(cls, text: str) -> Session:
        """Read `<twin>` or `<twin>:<connection>`, split at the first colon.  Raises MessageError."""
        twin, colon, connection = text.partition(":")
        if not _is_number(twin) or int(twin) > _MAX_TWIN:
            raise MessageError(f"address {text!r}: {twin!r} is no twin id")
        return cls(int(twin), connection if colon else None)

    def __str__(self) -> str:
        return str(self.twin) if self.connection is None else f"{self.twin}:{self.connection}"

    @property
    def stream_key(self) -> str:
        """Redis stream in which relays keep what waits for this session."""
        return f"stream:{self}"


def parse_stream_id(text: str) -> tuple[int, int]:
    """(milliseconds, sequence) of a Redis stream id `<ms>` or `<ms>-<seq>`.  Raises MessageError."""
    milliseconds, dash, sequence = text.partition("-")
    parts = (milliseconds, sequence if dash else "0")
    if not all(map(_is_number, parts)):
        raise MessageError(f"stream id {text!r}: expected <milliseconds>-<sequence>")
    return int(parts[0]), int(parts[1])


def _is_number(text: str) -> bool:
    """Decimal digits of a number that may fit into 64 bits."""
    return len(text) <= _MAX_DIGITS and text.isascii() and text.isdigit()
