"""JSON text as Go's encoder writes it: no white space, `<`, `>`, `&`, U+2028 and U+2029 escaped."""

from __future__ import annotations

import re

_SPECIAL = re.compile('["\\\\<>&\x00-\x1f\u2028\u2029\ud800-\udfff]')
_NAMED = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
_STRING_OR_BLANK = re.compile(rb'("[^"\\]*(?:\\.[^"\\]*)*")|[ \t\r\n]+', re.DOTALL)
_HTML = (
    (b"<", b"\\u003c"),
    (b">", b"\\u003e"),
    (b"&", b"\\u0026"),
    ("\u2028".encode(), b"\\u2028"),
    ("\u2029".encode(), b"\\u2029"),
)


def quote(text: str) -> bytes:
    """A JSON string in UTF-8."""
    return b'"' + _SPECIAL.sub(_escape, text).encode() + b'"'


def compact(raw: bytes) -> bytes:
    """Well-formed JSON without white space between tokens and with the characters above escaped."""
    if b" " in raw or b"\n" in raw or b"\t" in raw or b"\r" in raw:
        raw = _STRING_OR_BLANK.sub(lambda found: found[1] or b"", raw)
    for plain, escaped in _HTML:
        raw = raw.replace(plain, escaped)
    return raw


def _escape(found: re.Match[str]) -> str:
    character = found[0]
    if "\ud800" <= character <= "\udfff":
        return "\ufffd"  # half a surrogate pair has no UTF-8 form
    return _NAMED.get(character) or f"\\u{ord(character):04x}"
