"""Names that a person cannot tell apart, though the chain takes them for different ones."""

from __future__ import annotations

from collections.abc import Iterable

_ALIKE = str.maketrans({"0": "o", "1": "l", "i": "l", "5": "s", "8": "b", "-": None, "_": None})


def skeleton(name: str) -> str:
    """What is left of a name for a quick eye."""
    return name.casefold().replace("rn", "m").translate(_ALIKE)


def lookalikes(name: str, others: Iterable[str]) -> list[str]:
    """Those of `others` that look like `name` without being it."""
    wanted = skeleton(name)
    return sorted({other for other in others if other != name and skeleton(other) == wanted})
