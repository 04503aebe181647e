"""WebSocket frames as a server sends them: never masked, never split (RFC 6455 §5.2)."""

from __future__ import annotations

import struct

BINARY = 0x82
CLOSE_GOING_AWAY = b"\x88\x02\x03\xe9"
"""A close frame with code 1001."""
PING = b"\x89\x00"


def binary(message: bytes) -> bytes:
    """One binary message as one frame."""
    size = len(message)
    if size < 126:
        return bytes((BINARY, size)) + message
    if size < 1 << 16:
        return struct.pack("!BBH", BINARY, 126, size) + message
    return struct.pack("!BBQ", BINARY, 127, size) + message
