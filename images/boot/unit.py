"""Unit files: what the first process keeps running.  One TOML file a unit, its name is the file's name.

The keys mean what they mean to zinit: `exec`, `test`, `oneshot`, `after`, `log`, `env`, `dir`, `signal.stop`,
`shutdown_timeout`; `health` is ours.
"""

from __future__ import annotations

import re
import shlex
import signal
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MOST_BYTES = 16384
MOST_UNITS = 200
SUFFIX = ".toml"
LOGS = ("ring", "stdout", "none")
_NAME = re.compile(r"[a-z0-9][a-z0-9_.-]{0,39}")
_KEYS = {"exec", "test", "oneshot", "after", "log", "env", "dir", "signal", "shutdown_timeout", "health"}


class UnitError(ValueError):
    """A unit file that cannot be used; the message names key and value."""


@dataclass(frozen=True, slots=True)
class Unit:
    name: str
    exec: tuple[str, ...]
    test: tuple[str, ...] = ()
    """Start probe: the unit counts as running once it ends with status 0."""
    oneshot: bool = False
    after: tuple[str, ...] = ()
    """Units that must be ready first; names that nobody defined yet block."""
    log: str = "ring"
    env: Mapping[str, str] = field(default_factory=dict)
    dir: str = "/"
    stop_signal: int = signal.SIGTERM
    shutdown_timeout: float = 10.0
    """Seconds between the stop signal and SIGKILL."""
    health: float = 0.0
    """Seconds between two probes of a running unit; 0: the probe is for the start alone."""


def parse_unit(name: str, text: str) -> Unit:
    """Read a unit file.  Raises UnitError."""
    if not _NAME.fullmatch(name):
        raise UnitError(f"unit name {name[:60]!r}: use up to 40 of a-z, 0-9, '-', '_' and '.'")
    if len(text) > MOST_BYTES:
        raise UnitError(f"unit {name}: {len(text)} characters, at most {MOST_BYTES} are read")
    try:
        table = tomllib.loads(text)
    except tomllib.TOMLDecodeError as problem:
        raise UnitError(f"unit {name}: {problem}") from None
    unknown = sorted(table.keys() - _KEYS)
    if unknown:
        raise UnitError(f"unit {name}: unknown key {unknown[0]}; known are {', '.join(sorted(_KEYS))}")
    unit = Unit(
        name=name,
        exec=_command(name, "exec", table.get("exec")),
        test=_command(name, "test", table["test"]) if "test" in table else (),
        oneshot=_typed(name, table, "oneshot", bool, False),
        after=tuple(_texts(name, "after", table.get("after", []))),
        log=_typed(name, table, "log", str, "ring"),
        env={key: str(value) for key, value in _typed(name, table, "env", dict, {}).items()},
        dir=_typed(name, table, "dir", str, "/"),
        stop_signal=_signal(name, _typed(name, table, "signal", dict, {}).get("stop", "SIGTERM")),
        shutdown_timeout=_seconds(name, table, "shutdown_timeout", 10.0),
        health=_seconds(name, table, "health", 0.0),
    )
    if unit.log not in LOGS:
        raise UnitError(f"unit {name}: log {unit.log!r}; known are {', '.join(LOGS)}")
    if name in unit.after:
        raise UnitError(f"unit {name}: it cannot come after itself")
    return unit


def load_units(folder: Path) -> tuple[list[Unit], list[str]]:
    """(units of a folder, sentences about files that were skipped).  A bad file never stops the others."""
    units: list[Unit] = []
    problems: list[str] = []
    for file in sorted(folder.glob(f"*{SUFFIX}"))[:MOST_UNITS]:
        try:
            units.append(parse_unit(file.name.removesuffix(SUFFIX), file.read_text(errors="replace")))
        except (UnitError, OSError) as problem:
            problems.append(str(problem))
    return units, problems


def _command(name: str, key: str, value: object) -> tuple[str, ...]:
    if not isinstance(value, str):
        raise UnitError(f"unit {name}: {key} must be a command line, not {value!r}")
    try:
        words = tuple(shlex.split(value))
    except ValueError as problem:
        raise UnitError(f"unit {name}: {key} {value[:80]!r}: {problem}") from None
    if not words:
        raise UnitError(f"unit {name}: {key} is empty")
    return words


def _typed(name: str, table: Mapping[str, Any], key: str, kind: type, default: Any) -> Any:
    value = table.get(key, default)
    if not isinstance(value, kind):
        raise UnitError(f"unit {name}: {key} must be of type {kind.__name__}, not {value!r}")
    return value


def _texts(name: str, key: str, value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise UnitError(f"unit {name}: {key} must be a list of names, not {value!r}")
    return value


def _seconds(name: str, table: Mapping[str, Any], key: str, default: float) -> float:
    value = table.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 3600:
        raise UnitError(f"unit {name}: {key} must be seconds from 0 to 3600, not {value!r}")
    return float(value)


def _signal(name: str, text: object) -> int:
    wanted = str(text).upper()
    wanted = wanted if wanted.startswith("SIG") else f"SIG{wanted}"
    try:
        return int(signal.Signals[wanted])
    except KeyError:
        raise UnitError(f"unit {name}: unknown signal {text!r}") from None
