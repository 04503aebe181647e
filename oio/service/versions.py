"""Counters of a base's tables, as the services of OpenIO SDS report them. Pure.

Each table has a counter `version:main.<table>` of the form `<n>:0`. A transaction adds 1 to every table it changed
and 1 to `admin`, once.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import Enum
from typing import Final

PREFIX: Final = "version:main."


class Comparison(Enum):
    """How a copy's counters stand to another's."""

    EQUAL = 200
    PIPE_TO = 470
    PIPE_FROM = 471
    CONCURRENT = 472


def parse(admin: Mapping[str, str]) -> dict[str, int]:
    """Table -> counter, from the rows of `admin`; a malformed counter counts as 0."""
    found: dict[str, int] = {}
    for key, value in admin.items():
        if key.startswith(PREFIX):
            number = value.partition(":")[0]
            found[key.removeprefix(PREFIX)] = int(number) if number.isdigit() else 0
    return found


def bump(counters: Mapping[str, int], changed: Iterable[str]) -> dict[str, int]:
    """The counters that change with a transaction over `changed` tables, with their new values."""
    tables = set(changed)
    if not tables:
        return {}
    return {table: counters.get(table, 0) + 1 for table in sorted(tables | {"admin"})}


def compare(local: Mapping[str, int], remote: Mapping[str, int]) -> Comparison:
    """EQUAL; PIPE_TO when local is ahead; PIPE_FROM when it is behind or lacks a table; else CONCURRENT."""
    behind = any(local.get(table, -1) < number for table, number in remote.items())
    ahead = any(number > remote.get(table, -1) for table, number in local.items())
    if behind and ahead:
        return Comparison.CONCURRENT
    if behind:
        return Comparison.PIPE_FROM
    return Comparison.PIPE_TO if ahead else Comparison.EQUAL
