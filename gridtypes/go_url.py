"""Go's URL parser, as far as the rules of deployments depend on it: verdict, scheme, host, and texts of errors.

Python's `urllib.parse` accepts nearly everything, so a verdict from it would differ from a node's.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gridtypes.addresses import parse_ip

_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_PORT = re.compile(rb"(:[0-9]*)?")
_SCHEME = re.compile(rb"([a-zA-Z][a-zA-Z0-9+.-]*)?:")
_USERINFO = re.compile(rb"[a-zA-Z0-9\-._:~!$&'()*+,;=%@]*")
_HOST_BYTE = re.compile(rb"[a-zA-Z0-9\-_.~!$&'()*+,;=:\[\]<>\"\x80-\xff]")
_HEX_PAIR = re.compile(rb"%([0-9a-fA-F]{2})")
_NAMED_ESCAPES = {
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
    '"': '\\"',
    "\\": "\\\\",
}


@dataclass(frozen=True, slots=True)
class Url:
    scheme: str
    """In lower case; empty when there is none."""
    host: str
    """Decoded authority without user: host and port; empty when there is none."""

    @property
    def hostname(self) -> str:
        """Host without port and brackets."""
        host, _ = _split_port(self.host)
        return host[1:-1] if host.startswith("[") and host.endswith("]") else host

    @property
    def port(self) -> str:
        return _split_port(self.host)[1]


def parse_url(text: str) -> Url:
    """Raises ValueError with Go's text."""
    raw = text.encode("utf-8", "replace")
    body, _, fragment = raw.partition(b"#")
    try:
        url = _parse(body)
    except ValueError as error:
        raise ValueError(f"parse {quote(body)}: {error}") from None
    try:
        _check_escapes(fragment)
    except ValueError as error:
        raise ValueError(f"parse {quote(raw)}: {error}") from None
    return url


def quote(raw: bytes) -> str:
    """Text in double quotes as Go's `strconv.Quote` writes it."""
    out = []
    for character in raw.decode("utf-8", "surrogateescape"):
        code = ord(character)
        if character in _NAMED_ESCAPES:
            out.append(_NAMED_ESCAPES[character])
        elif character.isprintable():
            out.append(character)
        elif 0xDC80 <= code <= 0xDCFF:
            out.append(f"\\x{code - 0xDC00:02x}")  # a byte that is not UTF-8
        elif code < 0x80:
            out.append(f"\\x{code:02x}")
        else:
            out.append(f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}")
    return '"' + "".join(out) + '"'


def _parse(body: bytes) -> Url:
    if _CONTROL.search(body):
        raise ValueError("net/url: invalid control character in URL")
    if body == b"*":
        return Url("", "")
    scheme, rest = _split_scheme(body)
    # a single `?` at the very end is no query, but it goes all the same
    rest = rest.partition(b"?")[0]
    if not rest.startswith(b"/"):
        if scheme:
            return Url(scheme, "")
        if b":" in rest.partition(b"/")[0]:
            raise ValueError("first path segment in URL cannot contain colon")
    host = b""
    if rest.startswith(b"//") and (scheme or not rest.startswith(b"///")):
        authority, slash, path = rest[2:].partition(b"/")
        rest = slash + path
        host = _parse_authority(authority)
    _check_escapes(rest)
    return Url(scheme, host.decode("utf-8", "replace"))


def _split_scheme(body: bytes) -> tuple[str, bytes]:
    found = _SCHEME.match(body)
    if found is None:
        return "", body
    if found[1] is None:
        raise ValueError("missing protocol scheme")
    return found[1].decode().lower(), body[found.end() :]


def _parse_authority(authority: bytes) -> bytes:
    user, at, host_part = authority.rpartition(b"@")
    host = _parse_host(host_part)
    if at:
        if not _USERINFO.fullmatch(user):
            raise ValueError("net/url: invalid userinfo")
        for part in user.split(b":", 1):
            _check_escapes(part)
    return host


def _parse_host(host: bytes) -> bytes:
    opening = host.rfind(b"[")
    if opening >= 0:
        closing = host.rfind(b"]")
        if closing < 0:
            raise ValueError("missing ']' in host")
        port = host[closing + 1 :]
        _check_port(port)
        return b"[" + _bracketed(host[opening + 1 : closing]) + b"]" + _unescape_host(port)
    colon = host.rfind(b":")
    if colon >= 0:
        _check_port(host[colon:])
    return _unescape_host(host)


def _bracketed(inner: bytes) -> bytes:
    zone_at = inner.find(b"%25")
    if zone_at >= 0:
        inner = _unescape_host(inner[:zone_at]) + _unescape_host(inner[zone_at:], zone=True)
    else:
        inner = _unescape_host(inner)
    address, percent, zone = inner.decode("utf-8", "replace").partition("%")
    try:
        if percent and not zone:
            raise ValueError
        parse_ip(address)
    except ValueError:
        raise ValueError(f"invalid host: ParseAddr({quote(inner)}): unable to parse IP") from None
    if ":" not in address:
        raise ValueError("invalid IP-literal")
    return inner


def _check_port(port: bytes) -> None:
    if not _PORT.fullmatch(port):
        raise ValueError(f"invalid port {quote(port)} after host")


def _check_escapes(part: bytes) -> None:
    at = part.find(b"%")
    while at >= 0:
        _check_escape(part, at)
        at = part.find(b"%", at + 3)


def _check_escape(part: bytes, at: int) -> int:
    """The byte that an escape stands for."""
    pair = _HEX_PAIR.match(part, at)
    if pair is None:
        raise ValueError(f"invalid URL escape {quote(part[at : at + 3])}")
    return int(pair[1], 16)


def _unescape_host(host: bytes, *, zone: bool = False) -> bytes:
    out = bytearray()
    at = 0
    while at < len(host):
        byte = host[at : at + 1]
        if byte == b"%":
            value = _check_escape(host, at)
            percent = host[at : at + 3] == b"%25"
            if zone:
                allowed = (
                    percent or value == 0x20 or (value < 0x80 and bool(_HOST_BYTE.match(bytes([value]))))
                )
            else:
                allowed = percent or value >= 0x80
            if not allowed:
                raise ValueError(f"invalid URL escape {quote(host[at : at + 3])}")
            out.append(value)
            at += 3
            continue
        if not _HOST_BYTE.match(byte):
            raise ValueError(f"invalid character {quote(byte)} in host name")
        out += byte
        at += 1
    return bytes(out)


def _split_port(host: str) -> tuple[str, str]:
    """Cut off what follows the last colon when it is digits or nothing."""
    before, colon, after = host.rpartition(":")
    if colon and (not after or re.fullmatch(r"[0-9]+", after)):
        return before, after
    return host, ""
