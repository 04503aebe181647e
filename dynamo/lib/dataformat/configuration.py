"""Configurations: nested dictionaries whose items are attributes."""

from __future__ import annotations

import copy
import json
import os
import re
from pathlib import Path
from typing import IO, Any

from dynamo.dataformat.exceptions import ConfigurationError

_VARIABLE = re.compile(r"\$\((\w+)\)")


class Configuration(dict[str, Any]):
    """A dictionary whose items are attributes as well.

    `$(VAR)` in any text is replaced from the environment.
    """

    def __init__(self, source: dict[str, Any] | IO[str] | str | Path | None = None, **values: Any) -> None:
        """Take a dictionary, an open file or a path of JSON, and keywords that win over it.

        Raises ConfigurationError for a file that is no JSON object, or an unset variable.
        """
        super().__init__()
        for key, value in {**_read(source), **values}.items():
            self[key] = _convert(value)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)  # copy and pickle ask for methods that nobody has
        return self[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = _convert(value)

    def get(self, key: str, default: Any) -> Any:  # type: ignore[override]  # both arguments on purpose
        """The value of a key, or the default, which has to be given."""
        return super().get(key, default)

    def clone(self) -> Configuration:
        """A copy that shares nothing with this."""
        return copy.deepcopy(self)

    def __deepcopy__(self, memo: dict[int, Any]) -> Configuration:
        clone = Configuration()
        for key, value in self.items():
            dict.__setitem__(clone, key, copy.deepcopy(value, memo))
        return clone

    def dump_json(self, indent: int | None = None) -> str:
        """This as JSON text."""
        return json.dumps(self, indent=indent, sort_keys=True)


def _read(source: dict[str, Any] | IO[str] | str | Path | None) -> dict[str, Any]:
    if source is None:
        return {}
    if isinstance(source, dict):
        return source
    where = source if isinstance(source, str | Path) else getattr(source, "name", "configuration")
    try:
        value = json.loads(Path(source).read_text() if isinstance(source, str | Path) else source.read())
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"Configuration {where} cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise ConfigurationError(f"Configuration {where} is no JSON object")
    return value


def _convert(value: Any) -> Any:
    if isinstance(value, Configuration):
        return value
    if isinstance(value, dict):
        return Configuration(value)
    if isinstance(value, list):
        return [_convert(item) for item in value]
    return _VARIABLE.sub(_variable, value) if isinstance(value, str) else value


def _variable(match: re.Match[str]) -> str:
    value = os.environ.get(match[1])
    if value is None:
        raise ConfigurationError(f"Environment variable {match[1]} is used as $({match[1]}) but not set")
    return value
