"""How much of a node a deployment takes."""

from __future__ import annotations

from typing import Final

from gridtypes.kinds import U64
from gridtypes.record import Record, member, record

KIB: Final = 1 << 10
MIB: Final = 1 << 20
GIB: Final = 1 << 30
TIB: Final = 1 << 40

_WRAP = 1 << 64


@record
class Capacity(Record):
    """Resources; sums wrap at 64 bits as they do on every node."""

    cru: int = member(U64)
    """Cores."""
    sru: int = member(U64)
    """Bytes of SSD."""
    hru: int = member(U64)
    """Bytes of HDD."""
    mru: int = member(U64)
    """Bytes of memory."""
    ipv4u: int = member(U64)
    """Public IPv4 addresses."""

    def __add__(self, other: Capacity) -> Capacity:
        return Capacity(
            cru=(self.cru + other.cru) % _WRAP,
            sru=(self.sru + other.sru) % _WRAP,
            hru=(self.hru + other.hru) % _WRAP,
            mru=(self.mru + other.mru) % _WRAP,
            ipv4u=(self.ipv4u + other.ipv4u) % _WRAP,
        )
