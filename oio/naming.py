"""Names of bases: on the wire, in files and in elections. Pure."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

CID_LENGTH: Final = 64
MAX_NAME: Final = 255
"""Longest account, reference, property or service name, in bytes of UTF-8."""

_CID = re.compile(r"[0-9A-Fa-f]{64}")
_PREFIX = re.compile(r"[0-9A-Fa-f]{4}")
_ADDRESS = re.compile(r"(\d{1,3}(?:\.\d{1,3}){3}|\[[0-9A-Fa-f:]+\]):(\d{1,5})")
_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,128}")
_HASH_WIDTH: Final = {"meta0": 0, "meta1": 2, "meta2": 3}


@dataclass(frozen=True, order=True, slots=True)
class BaseName:
    """One base: its service type and its name (meta0: namespace, meta1: 4 hex digits, meta2: `<cid>.<seq>`)."""

    type: str
    name: str

    def file(self, suffix: str = "") -> str:
        """Path of the file inside a volume: `<hash directory>/<name>.<type>[.<suffix>]`."""
        width = _HASH_WIDTH.get(self.type, 3)
        tail = f"{self.name}.{self.type}" + (f".{suffix}" if suffix else "")
        return f"{self.name[:width]}/{tail}" if width else tail

    @property
    def election_key(self) -> str:
        """Upper-case SHA-256 of `<name>@<type>`, the key of the election's nodes."""
        return hashlib.sha256(f"{self.name}@{self.type}".encode()).hexdigest().upper()

    @property
    def election_path(self) -> str:
        """Where the nodes of the election stand below `/hc/ns/<namespace>/el`, as OpenIO SDS lays them out."""
        key = self.election_key
        levels = {"meta0": [], "meta1": [key[:3]]}.get(self.type, [key[:2], key[2:4]])
        return "/".join([self.type, *levels, key])

    def checked(self) -> BaseName:
        """Itself; ValueError when the name could leave the volume."""
        if not _NAME.fullmatch(self.name) or not _NAME.fullmatch(self.type) or self.name.startswith("."):
            raise ValueError(f"not a base name: {self.type}/{self.name!r}")
        return self


def cid_of(account: str, reference: str) -> str:
    """Container id: upper-case hex of SHA-256(account, NUL, reference), UTF-8."""
    return hashlib.sha256(account.encode() + b"\0" + reference.encode()).hexdigest().upper()


def is_cid(text: str) -> bool:
    """Whether `text` has the 64 hexadecimal digits of a container id."""
    return _CID.fullmatch(text) is not None


def is_prefix(text: str) -> bool:
    """Whether `text` has the 4 hexadecimal digits of a prefix."""
    return _PREFIX.fullmatch(text) is not None


def is_address(text: str) -> bool:
    """Whether `text` is `ip:port` with a port between 1 and 65535."""
    match = _ADDRESS.fullmatch(text)
    if match is None or not 1 <= int(match[2]) <= 65535:
        return False
    return match[1].startswith("[") or all(int(part) <= 255 for part in match[1].split("."))


def is_service_id(text: str) -> bool:
    """Whether `text` can name a service: an address, or a stable name of letters, digits, `_`, `-` and `.`."""
    return is_address(text) or _NAME.fullmatch(text) is not None


def meta1_base(cid: str, digits: int) -> BaseName:
    """The meta1 base of a container id: its first `digits` digits, padded with zeros to 4."""
    return BaseName("meta1", cid[:digits].upper().ljust(4, "0"))


def meta2_base(cid: str, seq: int) -> BaseName:
    """The meta2 base of one sequence of a container."""
    return BaseName("meta2", f"{cid.upper()}.{seq}")


def peer_set_key(service_type: str, peers: frozenset[str]) -> str:
    """Name of the lease that all bases with these peers share."""
    return f"{service_type}@{','.join(sorted(peers))}"
