"""Parameters that many modules have."""

from __future__ import annotations

from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from dynamo.web.exceptions import IllFormedRequest

_YES = ("true", "1", "y", "yes")
_NO = ("false", "0", "n", "no")


def yesno(request: dict[str, Any], name: str, default: bool = False) -> bool:
    """The value of a parameter that is yes or no.  Raises IllFormedRequest for anything else."""
    value = request.get(name)
    if value is None:
        return default
    word = str(value).lower()
    if word not in _YES + _NO:
        raise IllFormedRequest(name, value, allowed=_YES + _NO)
    return word in _YES


def listed(request: dict[str, Any], name: str) -> list[str] | None:
    """A parameter as a list: repeated, or with commas; None when it is missing."""
    value = request.get(name)
    if value is None:
        return None
    return list(value) if isinstance(value, list) else str(value).split(",")


def paged(names: Iterable[str], request: dict[str, Any]) -> list[str]:
    """Names in order, those behind `after` only, and at most `limit`.  Raises IllFormedRequest."""
    limit = request.get("limit")
    if limit is not None and not str(limit).isdigit():
        raise IllFormedRequest("limit", limit, hint="limit must be an integer")
    after = request.get("after")
    found = sorted(name for name in names if after is None or name > str(after))
    return found if limit is None else found[: int(limit)]


def fits(name: str, patterns: list[str] | None) -> bool:
    """Does a name fit one of the shell patterns?  Without patterns every name does."""
    return patterns is None or any(fnmatchcase(name, pattern) for pattern in patterns)
