"""The file that defines sequences.

{title} = path          an application that may not write;  <title> = path  one that may
[SEQUENCE name] [restart]
^[hours] {title} args   when it fails, the sequence begins again
&[hours] {title} args   when it fails, the line is repeated
| {title} args          when it fails, the sequence goes on
WAIT seconds
TERMINATE
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from dynamo.core.master.applications import AuthLevel
from dynamo.core.sequences.wait_time import Number, wait_seconds
from dynamo.dataformat import ConfigurationError

MAX_TEXT = 1 << 20
"""Longest definition file, in characters."""


class Criticality(StrEnum):
    """What the failure of a step does."""

    REPEAT_SEQUENCE = "repeat_sequence"
    REPEAT_LINE = "repeat_line"
    PASS = "pass"


@dataclass(frozen=True, slots=True)
class Execute:
    """Run an application.  `timeout` in hours, 0 = the server's default."""

    title: str
    arguments: str
    auth_level: AuthLevel
    criticality: Criticality
    timeout: int


@dataclass(frozen=True, slots=True)
class Wait:
    """Do nothing for some seconds."""

    seconds: Number


@dataclass(frozen=True, slots=True)
class Terminate:
    """End the sequence and disable it."""


Step = Execute | Wait | Terminate


@dataclass(slots=True)
class Sequence:
    """Steps in order.  `restart`: begin at the first step whenever it is started."""

    name: str
    restart: bool
    steps: list[Step] = field(default_factory=list)


@dataclass(slots=True)
class Definition:
    """Applications by title, as path and whether it may write, and sequences by name."""

    applications: dict[str, tuple[str, bool]] = field(default_factory=dict)
    sequences: dict[str, Sequence] = field(default_factory=dict)


_MARKS = {"^": Criticality.REPEAT_SEQUENCE, "&": Criticality.REPEAT_LINE, "|": Criticality.PASS}
_TITLE = re.compile(r"(?:\{([^{}\s]{1,64})\}|<([^<>\s]{1,64})>)\s*=\s*(\S.*)")
_HEAD = re.compile(r"\[SEQUENCE\s+(\S+?)\](?:\s+(restart))?")
_STEP = re.compile(r"([\^&|])(?:\[(\d{1,4})\])?\s+(?:\{([^{}\s]+)\}|<([^<>\s]+)>)(?:\s+(.*))?")
_VARIABLE = re.compile(r"\$\((\w+)\)")


def parse_definition(text: str, environment: Mapping[str, str] = os.environ) -> Definition:
    """Read a definition file.  Raises ConfigurationError with the number of the line (from 1) that is wrong."""
    if len(text) > MAX_TEXT:
        raise ConfigurationError(f"The definition has {len(text)} characters; at most {MAX_TEXT} are allowed")
    definition = Definition()
    current: Sequence | None = None
    for number, raw in enumerate(text.splitlines(), 1):
        line = raw.strip()
        if not line or line.startswith("#"):
            continue
        try:
            if found := _TITLE.fullmatch(line):
                read, write, path = found.groups()
                definition.applications[read or write] = (_filled(path, environment), write is not None)
            elif found := _HEAD.fullmatch(line):
                current = Sequence(found[1], found[2] is not None)
                definition.sequences[current.name] = current
            elif current is None:
                raise ValueError(f"{line!r} stands before the first [SEQUENCE name]")
            else:
                current.steps.append(_step(line, definition, environment))
        except ValueError as error:
            raise ConfigurationError(f"Line {number}: {error}") from None
    return definition


def filled_in(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """The text with variables replaced where a definition may have them, so that it can be read elsewhere.

    Raises ConfigurationError for a variable that is not set.
    """
    lines = []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            lines.append(line if line.strip().startswith("#") else _filled(line, environment))
        except ValueError as error:
            raise ConfigurationError(f"Line {number}: {error}") from None
    return "\n".join(lines) + "\n"


def _step(line: str, definition: Definition, environment: Mapping[str, str]) -> Step:
    if line == "TERMINATE":
        return Terminate()
    if line.startswith("WAIT "):
        return Wait(wait_seconds(line[5:]))
    found = _STEP.fullmatch(line)
    if found is None:
        raise ValueError(f"{line!r} is neither a step (a blank follows its mark), WAIT nor TERMINATE")
    mark, hours, read, write, arguments = found.groups()
    title = read or write
    known = definition.applications.get(title)
    if known is None:
        raise ValueError(f"Application {title} is not defined; write {{{title}}} = path above")
    if write is not None and not known[1]:
        raise ValueError(f"Application {title} is used as one that writes but defined as {{{title}}}")
    level = AuthLevel.WRITE if write is not None else AuthLevel.AUTH
    return Execute(title, _filled(arguments or "", environment), level, _MARKS[mark], int(hours or 0))


def _filled(text: str, environment: Mapping[str, str]) -> str:
    def value(found: re.Match[str]) -> str:
        if found[1] not in environment:
            raise ValueError(f"$({found[1]}) is not set in the environment")
        return environment[found[1]]

    return _VARIABLE.sub(value, text)
