"""From logical to physical file names: chains of patterns."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from dynamo.dataformat.exceptions import ObjectError

Chain = tuple[tuple[str, str], ...]


class FilenameMapping:
    """The chains of one protocol; the first one that works gives the physical name.

    A chain is a list of pairs of a regular expression and a replacement.  Every expression has to match the start
    of what the pair before it made; `{0}`, `{1}`, ... of a replacement stand for its captures.
    """

    __slots__ = ("_compiled", "chains")

    def __init__(self, chains: Iterable[Iterable[Sequence[str]]]) -> None:
        """Raises ObjectError for a pair that is none, a bad expression, or a capture that does not exist."""
        self.chains: tuple[Chain, ...] = tuple(tuple(_pair(pair) for pair in chain) for chain in chains)
        self._compiled = [
            [(_compile(pattern, replacement), replacement) for pattern, replacement in chain]
            for chain in self.chains
        ]

    def map(self, lfn: str) -> str | None:
        """The physical name of a logical one; None when no chain works."""
        for chain in self._compiled:
            name: str | None = lfn
            for pattern, replacement in chain:
                match = pattern.match(name or "")
                if match is None:
                    name = None
                    break
                name = _fill(replacement, match.groups())
            if name is not None and chain:
                return name
        return None

    def __eq__(self, other: object) -> bool:
        return self.chains == other.chains if isinstance(other, FilenameMapping) else NotImplemented

    __hash__ = object.__hash__

    def __repr__(self) -> str:
        return repr([list(chain) for chain in self.chains])


def filename_mappings(
    mapping: Mapping[str, FilenameMapping | Iterable[Iterable[Sequence[str]]]],
) -> dict[str, FilenameMapping]:
    """The chains of every protocol, as objects of their own."""
    return {
        protocol: FilenameMapping(chains.chains if isinstance(chains, FilenameMapping) else chains)
        for protocol, chains in mapping.items()
    }


_FIELD = re.compile(r"\{(\d+)\}")


def _fill(replacement: str, captures: tuple[str | None, ...]) -> str:
    return _FIELD.sub(lambda field: captures[int(field[1])] or "", replacement)


def _pair(pair: Sequence[str]) -> tuple[str, str]:
    if len(pair) != 2 or not all(isinstance(text, str) for text in pair):
        raise ObjectError(f"Filename mapping needs pairs of pattern and replacement, not {pair!r}")
    return pair[0], pair[1]


def _compile(pattern: str, replacement: str) -> re.Pattern[str]:
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise ObjectError(f"Filename mapping has the bad pattern {pattern!r}: {error}") from None
    for field in _FIELD.findall(replacement):
        if int(field) >= compiled.groups:
            raise ObjectError(
                f"Filename mapping replaces {pattern!r} by {replacement!r}, which has no capture {field}"
            )
    return compiled
