"""Load a program's configuration: one TOML file, every key also as `ZOS_<SECTION>_<KEY>` in the environment.

The shape is a pydantic model whose fields are sections, which are models themselves::

    class Redis(Section):
        url: str = "unix:///run/zos/redis.sock"

    class PeerSettings(Section):
        redis: Redis = Redis()

    settings = load(PeerSettings, Path("/etc/zos/rmb-peer.toml"))

The environment wins over the file.  A variable is read as TOML (`5`, `true`, `["a", "b"]`, `{ "26" = "10.0.0.1" }`);
what is not TOML is taken as text, and split at commas where a list is expected.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError

from rmb.errors import SettingsError

PREFIX = "ZOS"


class Section(BaseModel):
    """Base of every part of a configuration: immutable, and unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


Settings = TypeVar("Settings", bound=BaseModel)


def load(model: type[Settings], path: Path | None, environment: Mapping[str, str] | None = None) -> Settings:
    """Read `path` (None: only the environment and the defaults) into `model`.

    Raises SettingsError, which names the file, the key, the value and what is expected; for an unknown key it names
    the nearest known one.
    """
    values: dict[str, Any] = {}
    if path is not None:
        try:
            values = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise SettingsError(f"cannot read the configuration {path}: {error.strerror}") from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"{path} is not TOML: {error}") from error
    place = str(path) if path else "configuration"
    _refuse_unknown(model, values, place)
    for section, key, annotation in _keys(model):
        text = (os.environ if environment is None else environment).get(variable(section, key))
        if text is not None:
            values.setdefault(section, {})[key] = _from_environment(text, annotation)
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise SettingsError("; ".join(_explain(model, item, place) for item in error.errors())) from error


def variable(section: str, key: str) -> str:
    """Name of the environment variable of a key."""
    return f"{PREFIX}_{section}_{key}".upper()


def _keys(model: type[BaseModel]) -> Iterator[tuple[str, str, Any]]:
    """(section, key, annotation) of everything that can be set."""
    for section, field in model.model_fields.items():
        part = _section(field.annotation)
        if part is not None:
            for key, inner in part.model_fields.items():
                yield section, key, inner.annotation


def _section(annotation: Any) -> type[BaseModel] | None:
    candidates = (annotation, *get_args(annotation))
    return next((c for c in candidates if isinstance(c, type) and issubclass(c, BaseModel)), None)


def _refuse_unknown(model: type[BaseModel], values: Mapping[str, Any], place: str) -> None:
    """Raise SettingsError for the first section or key that `model` does not have."""
    for section, content in values.items():
        if section not in model.model_fields:
            raise SettingsError(
                f"{place}: unknown section [{section}]{_nearest(section, model.model_fields)}"
            )
        part = _section(model.model_fields[section].annotation)
        if part is None:
            continue
        if not isinstance(content, dict):
            raise SettingsError(f"{place}: {section} is a section: write [{section}] and its keys below")
        for key in content:
            if key not in part.model_fields:
                raise SettingsError(
                    f"{place}: unknown key {key} in [{section}]{_nearest(key, part.model_fields)}"
                )


def _nearest(word: str, known: Mapping[str, Any]) -> str:
    near = difflib.get_close_matches(word, known, n=1, cutoff=0.5)
    return f"; did you mean {near[0]}?" if near else f"; known are {', '.join(sorted(known))}"


def _from_environment(text: str, annotation: Any) -> Any:
    if annotation is str or annotation is Path:
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        pass
    if get_origin(annotation) in (tuple, list, set, frozenset):
        return [part.strip() for part in text.split(",") if part.strip()]
    return text


def _explain(model: type[BaseModel], item: Any, place: str) -> str:
    path = [str(part) for part in item["loc"]]
    dotted = ".".join(path)
    where = f"{place}: {dotted}"
    if len(path) >= 2 and _section(getattr(model.model_fields.get(path[0]), "annotation", None)):
        where += f" (or {variable(path[0], path[1])})"
    given = "" if item["type"] == "missing" else f", not {_shortened(item['input'])}"
    return f"{where}: {item['msg']}{given}"


def _shortened(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
