"""The byte level of SCALE: a strict reader, compact integers, fixed-width integers.

Strict means: nothing is read past the end, compact integers must be in their shortest form, and a length is checked
against what is left before anything is allocated for it.
"""

from __future__ import annotations


class ScaleError(ValueError):
    """Bytes that are not a valid encoding, or a value that does not fit its type."""


class Reader:
    """A position in a byte string.  Every read raises `ScaleError` when too few bytes are left."""

    __slots__ = ("data", "position")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, count: int) -> bytes:
        end = self.position + count
        if end > len(self.data):
            raise ScaleError(f"{count} bytes wanted at offset {self.position}, {self.left} left")
        piece = self.data[self.position : end]
        self.position = end
        return piece

    def byte(self) -> int:
        return self.take(1)[0]

    def uint(self, width: int) -> int:
        """A little-endian unsigned integer of `width` bytes."""
        return int.from_bytes(self.take(width), "little")

    def signed(self, width: int) -> int:
        """A little-endian signed integer of `width` bytes."""
        return int.from_bytes(self.take(width), "little", signed=True)

    def compact(self) -> int:
        """A compact integer; a form longer than needed is refused, as parity-scale-codec does."""
        first = self.byte()
        mode = first & 3
        if mode == 0:
            return first >> 2
        if mode == 1:
            value = (first | self.byte() << 8) >> 2
            smallest = 1 << 6
        elif mode == 2:
            value = (first | self.uint(3) << 8) >> 2
            smallest = 1 << 14
        else:
            width = (first >> 2) + 4
            value = self.uint(width)
            smallest = 1 << 30 if width == 4 else 1 << 8 * (width - 1)
        if value < smallest:
            raise ScaleError(f"compact integer {value} is not in its shortest form")
        return value

    def blob(self) -> bytes:
        """A length-prefixed byte string."""
        return self.take(self.compact())

    def text(self) -> str:
        try:
            return self.blob().decode()
        except UnicodeDecodeError as error:
            raise ScaleError(f"text is not UTF-8: {error}") from error

    @property
    def left(self) -> int:
        return len(self.data) - self.position

    def done(self) -> None:
        """Refuse bytes after the end of the value."""
        if self.left:
            raise ScaleError(f"{self.left} bytes left over after the value")


def compact(value: int) -> bytes:
    """The compact form of 0 ≤ `value` < 2**536."""
    if value < 0:
        raise ScaleError(f"{value} is negative")
    if value < 1 << 6:
        return bytes((value << 2,))
    if value < 1 << 14:
        return (value << 2 | 1).to_bytes(2, "little")
    if value < 1 << 30:
        return (value << 2 | 2).to_bytes(4, "little")
    width = max(4, (value.bit_length() + 7) // 8)
    if width > 67:
        raise ScaleError(f"{value.bit_length()} bits do not fit a compact integer")
    return bytes(((width - 4) << 2 | 3,)) + value.to_bytes(width, "little")


def uint(value: int, width: int) -> bytes:
    """A little-endian unsigned integer of `width` bytes."""
    try:
        return value.to_bytes(width, "little")
    except OverflowError:
        raise ScaleError(f"{value} does not fit u{width * 8}") from None


def blob(value: bytes) -> bytes:
    return compact(len(value)) + value


def text(value: str) -> bytes:
    return blob(value.encode())
