"""Distinguished names of certificates, in one form: `/C=US/O=Acme, Inc./CN=Joe`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from dynamo.dataformat import ObjectError

MAX_NAME = 1024
"""Longest name, in characters."""

_SHORT = {
    "countryName": "C",
    "stateOrProvinceName": "ST",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "commonName": "CN",
    "domainComponent": "DC",
    "userId": "UID",
    "emailAddress": "emailAddress",
    "serialNumber": "serialNumber",
}
_RANK = {"DC": 0, "C": 1, "ST": 2, "L": 3, "O": 4, "OU": 5}
"""Types from the general to the special; all others are more special than these."""

Subject = Sequence[Sequence[Sequence[str]]]


def dn_of_subject(subject: Subject) -> str:
    """The name in a certificate's subject, as the module `ssl` gives it.  Unknown types keep their name."""
    parts = []
    for relative in subject:
        parts.append("+".join(f"{_SHORT.get(kind, kind)}={value}" for kind, value in relative))
    return "/" + "/".join(parts)


def dn_of_text(text: str) -> str:
    """The name in a text with slashes, or with commas as RFC 2253, RFC 4514 and OpenSSL write it.

    A name that begins with its most special part is turned round.  Raises ObjectError for what is no name.
    """
    text = text.strip()
    if len(text) > MAX_NAME:
        raise ObjectError(f"A certificate's name has {len(text)} characters; at most {MAX_NAME} are allowed")
    if text.startswith("/"):
        return text.rstrip("/") or _refuse(text)
    relatives = [_relative(part, text) for part in _split(text, ",;")]
    first, last = _rank(relatives[0]), _rank(relatives[-1])
    if first > last:
        relatives.reverse()
    return "/" + "/".join(relatives)


def shorter_dns(dn: str) -> list[str]:
    """The name itself, and what is left when parts are cut from its end: what proxy certificates add."""
    parts = re.split(r"/(?=[A-Za-z0-9.]+=)", dn)[1:]
    return ["/" + "/".join(parts[:count]) for count in range(len(parts), 0, -1)]


def _relative(part: str, text: str) -> str:
    found = []
    for pair in _split(part, "+"):
        kind, mark, value = pair.partition("=")
        if not mark or not kind.strip() or not value.strip():
            _refuse(text)
        found.append(f"{_SHORT.get(kind.strip(), kind.strip())}={_unescaped(value.strip())}")
    return "+".join(found)


def _rank(relative: str) -> int:
    return _RANK.get(relative.partition("=")[0].upper(), 6)


def _split(text: str, marks: str) -> list[str]:
    parts, part, quoted, position = [], "", False, 0
    while position < len(text):
        char = text[position]
        if char == "\\":
            part += text[position : position + 2]
            position += 2
            continue
        if char == '"':
            quoted = not quoted
        if char in marks and not quoted:
            parts.append(part)
            part = ""
        else:
            part += char
        position += 1
    return [*parts, part]


def _unescaped(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] == '"':
        value = value[1:-1]
    codes = re.sub(
        r"(?:\\[0-9A-Fa-f]{2})+",
        lambda run: bytes.fromhex(run[0].replace("\\", "")).decode("utf-8", "replace"),
        value,
    )
    return re.sub(r"\\(.)", r"\1", codes)


def _refuse(text: str) -> str:
    raise ObjectError(f"{text!r} is no name of a certificate; write it like /C=US/O=Acme/CN=Joe")
