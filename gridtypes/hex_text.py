"""Hex text with the complaints of Go's `encoding/hex`."""

from __future__ import annotations

import re

_NOT_HEX = re.compile(rb"[^0-9a-fA-F]")


def parse_hex(text: str) -> bytes:
    """Either letter case.  Raises ValueError with Go's text."""
    raw = text.encode()
    bad = _NOT_HEX.search(raw)
    if bad is not None:
        byte = raw[bad.start()]
        raise ValueError(f"encoding/hex: invalid byte: U+{byte:04X}{_quoted(byte)}")
    if len(raw) % 2:
        raise ValueError("encoding/hex: odd length hex string")
    return bytes.fromhex(text)


def _quoted(byte: int) -> str:
    character = chr(byte)
    if character == " ":
        return " ' '"
    # U+00A0 and U+00AD are not printable for Go, nor are they here
    return f" '{character}'" if character.isprintable() else ""
