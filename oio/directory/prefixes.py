"""Prefixes of container ids and the meta1 bases they belong to. Pure.

A namespace with `d` meta1 digits has 16^d bases. A base is called by its first `d` digits (`87`); on the wire, in files
and in elections by these digits padded with zeros to four (`8700`), as OpenIO SDS does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

MAX_DIGITS: Final = 4
CID_DIGITS: Final = 64


def count_prefixes(digits: int) -> int:
    """Number of bases with so many digits; ValueError outside 0..4."""
    if not 0 <= digits <= MAX_DIGITS:
        raise ValueError("Invalid number of digits")
    return 1 << (4 * digits)


def generate_short_prefixes(digits: int) -> Iterator[str]:
    """Names of all bases, ascending, `digits` characters each; ValueError outside 0..4."""
    if digits == 0:
        return iter([""])
    return (f"{number:0{digits}X}" for number in range(count_prefixes(digits)))


def generate_prefixes(digits: int) -> Iterator[str]:
    """Names of all bases as on the wire: padded with zeros to four characters; ValueError outside 0..4."""
    return (short.ljust(MAX_DIGITS, "0") for short in generate_short_prefixes(digits))


def base_of(prefix: str, digits: int) -> str:
    """The base of a prefix, as on the wire."""
    return prefix[:digits].ljust(MAX_DIGITS, "0")


def siblings(prefix: str, digits: int) -> list[str]:
    """All prefixes of the same base, ascending; ValueError when `prefix` is not hexadecimal."""
    base = base_of(prefix, digits)
    first, last = int(base, 16), int(base[:digits].ljust(MAX_DIGITS, "F"), 16)
    return [f"{number:04X}" for number in range(first, last + 1)]


def cid_and_seq(base: str) -> tuple[str, int | None] | None:
    """Container id and sequence of a base's name; None when it is no such name.

    Up to 64 characters are padded with zeros and have no sequence; longer ones read `<64 characters>.<number>`.
    """
    if len(base) <= CID_DIGITS:
        return base.ljust(CID_DIGITS, "0"), None
    if base[CID_DIGITS] != ".":
        return None
    try:
        return base[:CID_DIGITS], int(base[CID_DIGITS + 1 :])
    except ValueError:
        return None
