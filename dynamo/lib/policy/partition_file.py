"""The file that defines partitions: one a line, `Name: condition` or `Name: [Part, Part]`."""

from __future__ import annotations

import re
from pathlib import Path

from dynamo.dataformat.exceptions import ConfigurationError
from dynamo.dataformat.partition import Partition
from dynamo.policy.condition import ReplicaCondition

DEFAULT = "Default: blockreplica.owner != None\n"
"""One partition, of everything that somebody owns."""

_LINE = re.compile(r"\s*(\w{1,16})\s*:\s*(\S.*?)\s*")
_UNION = re.compile(r"\[(.*)\]")


def parse_partitions(text: str, now: float | None = None) -> list[Partition]:
    """The partitions of a definition file.  Lines that define none are skipped.

    Raises ConfigurationError, with the line's number, for a condition that cannot be read.
    """
    partitions = {}
    for number, line in enumerate(text.splitlines(), 1):
        defined = _LINE.fullmatch(line)
        if defined is None:
            continue
        name, definition = defined.groups()
        union = _UNION.fullmatch(definition)
        if union is not None:
            parts = [part.strip() for part in union[1].split(",") if part.strip()]
            partitions[name] = Partition(name, parts)
            continue
        try:
            partitions[name] = Partition(name, ReplicaCondition(definition, now))
        except ConfigurationError as error:
            raise ConfigurationError(f"Line {number} defines partition {name}: {error}") from None
    return list(partitions.values())


def read_partitions(path: Path | None) -> list[Partition]:
    """The partitions of a file; the default one without a file.  Raises ConfigurationError."""
    if path is None:
        return parse_partitions(DEFAULT)
    try:
        return parse_partitions(path.read_text())
    except OSError as error:
        raise ConfigurationError(f"Partition definition file {path} cannot be read: {error}") from None
