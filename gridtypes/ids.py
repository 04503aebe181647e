"""Who is who on the grid: ids, names, and the short names that are derived from them."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import NewType, Self

from gridtypes import base58
from gridtypes.errors import InvalidId, InvalidName

TwinId = NewType("TwinId", int)
"""Principal of the grid, 32 bits."""
ContractId = NewType("ContractId", int)
"""Contract on the chain, 64 bits."""
NodeId = NewType("NodeId", int)
FarmId = NewType("FarmId", int)
Name = NewType("Name", str)
"""Name of a workload within its deployment; see `check_name`."""

MAX_NAME = 36
"""Bytes."""
SHORT_NAME = 13
"""Characters of `WorkloadId.unique` and `network_id`: what fits a link name beside a two-character prefix."""

_NAME = re.compile(r"[a-zA-Z0-9_]+")
_BLANKS = " \t\r"


def check_name(name: str) -> Name:
    """Raises InvalidName; the text is the one of every node."""
    if not name:
        raise InvalidName("name cannot be empty")
    if len(name.encode()) > MAX_NAME:
        raise InvalidName("name cannot exceed 36 characters")
    if not _NAME.fullmatch(name):
        raise InvalidName("unsupported character in workload name")
    if name == "ygg":
        raise InvalidName("invalid name 'ygg' is reserved")
    return Name(name)


@dataclass(frozen=True, slots=True, order=True)
class WorkloadId:
    """A workload on the whole grid, written `<twin>-<contract>-<name>`."""

    twin: TwinId
    contract: ContractId
    name: Name

    def __str__(self) -> str:
        return f"{self.twin}-{self.contract}-{self.name}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read the written form the lenient way Go's `Sscanf` does.  Raises InvalidId."""
        scan = _Scan(text)
        twin = TwinId(scan.unsigned(32))
        scan.dash()
        contract = ContractId(scan.unsigned(64))
        scan.dash()
        return cls(twin, contract, Name(scan.word()))

    @classmethod
    def checked(cls, twin: TwinId, contract: ContractId, name: str) -> Self:
        """Like the constructor, but the name is checked.  Raises InvalidName."""
        return cls(twin, contract, check_name(name))

    @property
    def path(self) -> str:
        """The written form with `/` for every `-`."""
        return str(self).replace("-", "/")

    @property
    def network_id(self) -> str:
        """`network_id` of a network with this name."""
        return network_id(self.twin, self.name)

    def unique(self, n: str) -> str:
        """A short name, the same on every node, for the thing `n` of this workload (13 characters)."""
        return _short(f"{self}:{n}")


@dataclass(frozen=True, slots=True, order=True)
class DeploymentId:
    """Twin and deployment number, written `<twin>-<deployment>`; both have 32 bits."""

    twin: TwinId
    deployment: int

    def __str__(self) -> str:
        return f"{self.twin}-{self.deployment}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """Raises InvalidId."""
        scan = _Scan(text)
        twin = TwinId(scan.unsigned(32))
        scan.dash()
        return cls(twin, scan.unsigned(32))

    @property
    def path(self) -> str:
        return str(self).replace("-", "/")


def network_id(twin: TwinId, name: str) -> str:
    """The short name of a twin's network, the same on every node (13 characters)."""
    return _short(f"{twin}:{name}")


def _short(text: str) -> str:
    return base58.encode(hashlib.md5(text.encode(), usedforsecurity=False).digest())[:SHORT_NAME]


class _Scan:
    def __init__(self, text: str) -> None:
        self.rest = text

    def unsigned(self, bits: int) -> int:
        self._skip_blanks()
        digits = re.match(r"[0-9]+", self.rest)
        if digits is None:
            raise InvalidId("expected integer")
        self.rest = self.rest[digits.end() :]
        token = digits[0]
        # 20 digits hold 2^64 - 1; longer ones only with leading zeros
        value = int(token) if len(token.lstrip("0")) <= 20 else 1 << 64
        if value >= 1 << 64:
            raise InvalidId(f'strconv.ParseUint: parsing "{token}": value out of range')
        if value >= 1 << bits:
            raise InvalidId(f"unsigned integer overflow on token {token}")
        return value

    def dash(self) -> None:
        if not self.rest:
            raise InvalidId("unexpected EOF")
        if self.rest[0] != "-":
            raise InvalidId("input does not match format")
        self.rest = self.rest[1:]

    def word(self) -> str:
        self._skip_blanks()
        return self.rest.split(maxsplit=1)[0]

    def _skip_blanks(self) -> None:
        self.rest = self.rest.lstrip(_BLANKS)
        if not self.rest:
            raise InvalidId("EOF")
        if self.rest[0] == "\n":
            raise InvalidId("unexpected newline")
