"""Partition tables written by hand, so that the tests need no partitioning program."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

_SECTOR = 512


def write_dos(device: Path) -> None:
    _write(device, 0, bytes(510) + b"\x55\xaa")


def write_gpt(device: Path) -> None:
    """An empty GPT with its protective MBR, first copy only."""
    sectors = _size(device) // _SECTOR
    protective = struct.pack("<B3sB3sII", 0, b"", 0xEE, b"", 1, sectors - 1)
    _write(device, 0, bytes(446) + protective + bytes(48) + b"\x55\xaa")
    entries = bytes(128 * 128)

    def header(crc: int) -> bytes:
        return struct.pack(
            "<8sIIIIQQQQ16sQIII",
            b"EFI PART",
            0x00010000,
            92,
            crc,
            0,
            1,
            sectors - 1,
            34,
            sectors - 34,
            b"0123456789abcdef",
            2,
            128,
            128,
            zlib.crc32(entries),
        )

    _write(device, _SECTOR, header(zlib.crc32(header(0))))
    _write(device, 2 * _SECTOR, entries)


def _size(device: Path) -> int:
    with device.open("rb") as file:
        return file.seek(0, 2)


def _write(device: Path, offset: int, data: bytes) -> None:
    with device.open("r+b") as file:
        file.seek(offset)
        file.write(data)
