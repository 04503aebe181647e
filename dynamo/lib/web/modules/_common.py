"""Parameters that many modules have."""

from __future__ import annotations

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase
from typing import Any

from dynamo.web.exceptions import IllFormedRequest

_YES = ("true", "1", "y", "yes")
_NO = ("false", "0", "n", "no")
_INTEGER = re.compile(r"-?[0-9]{1,18}")


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
    """A parameter as a list: repeated, or with commas; None when it is missing.  Raises IllFormedRequest."""
    value = request.get(name)
    if isinstance(value, list):
        return [_text(name, item, "{name} must be a list of texts") for item in value]
    found = text_of(request, name)
    return None if found is None else found.split(",")


def text_of(request: dict[str, Any], name: str, default: str | None = None) -> str | None:
    """A parameter that has one value.  Raises IllFormedRequest for several, and for objects in JSON."""
    value = request.get(name)
    return default if value is None else _text(name, value, "{name} must have one value")


def _text(name: str, value: Any, hint: str) -> str:
    # A body in JSON may have numbers as numbers.
    if not isinstance(value, str | int):
        raise IllFormedRequest(name, value, hint=hint.format(name=name))
    return str(value)


def number_of(request: dict[str, Any], name: str, default: int | None = None, lowest: int = 0) -> int | None:
    """A parameter that is a number, of 18 digits at most.  Raises IllFormedRequest."""
    value = request.get(name)
    if value is None:
        return default
    if not isinstance(value, str | int) or not _INTEGER.fullmatch(str(value)) or int(value) < lowest:
        raise IllFormedRequest(name, value, hint=f"{name} must be an integer")
    return int(value)


def paged(names: Iterable[str], request: dict[str, Any]) -> list[str]:
    """Names in order, those behind `after` only, and at most `limit`.  Raises IllFormedRequest."""
    limit, after = number_of(request, "limit"), text_of(request, "after")
    found = sorted(name for name in names if after is None or name > after)
    return found if limit is None else found[:limit]


def fits(name: str, patterns: list[str] | None) -> bool:
    """Does a name fit one of the shell patterns?  Without patterns every name does."""
    return patterns is None or any(fnmatchcase(name, pattern) for pattern in patterns)
