"""Hardware addresses as node queries write them: lower case, pairs joined by colons."""

from __future__ import annotations

import re

_LENGTHS = (6, 8, 20)
_PAIRS = re.compile(r"[0-9a-f]{2}(?:([:-])[0-9a-f]{2})(?:\1[0-9a-f]{2})*", re.IGNORECASE)
_QUADS = re.compile(r"[0-9a-f]{4}(?:\.[0-9a-f]{4})+", re.IGNORECASE)


def parse_mac(text: str) -> bytes:
    """Six, eight or twenty bytes; the empty text gives none.  Raises ValueError with Go's text."""
    if not text:
        return b""
    if _PAIRS.fullmatch(text) or _QUADS.fullmatch(text):
        raw = bytes.fromhex(re.sub("[:.-]", "", text))
        if len(raw) in _LENGTHS:
            return raw
    raise ValueError(f"address {text}: invalid MAC address")


def format_mac(raw: bytes) -> str:
    return raw.hex(":")
