"""The reference of the package from its docstrings: `python -m tests.oio.reference_page > docs/oio/reference.md`."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Iterator
from typing import Any

MODULES = (
    "oio.directory.client",
    "oio.directory.admin",
    "oio.directory.meta0",
    "oio.directory.meta",
    "oio.directory.meta2",
    "oio.directory.meta2_rebuilder",
    "oio.directory.indexer",
    "oio.directory.relocation",
    "oio.directory.meta1_rebuilder",
    "oio.directory.meta2_decommission",
    "oio.conscience.client",
    "oio.rdir.client",
    "oio.container.client",
    "oio.common.client",
    "oio.api.base",
    "oio.common.tool",
    "oio.common.daemon",
    "oio.common.configuration",
    "oio.common.exceptions",
)


def page() -> str:
    """The whole page."""
    lines = ["# Reference", "", "Made from the docstrings of the package.", ""]
    for name in MODULES:
        module = importlib.import_module(name)
        lines += [f"## `{name}`", "", _doc(module), ""]
        for member in _members(module, module.__name__):
            lines += _described(member)
    return "\n".join(lines).rstrip() + "\n"


def _described(member: Any) -> Iterator[str]:
    if not inspect.isclass(member):
        yield from (f"### `{member.__name__}{_signature(member)}`", "", _doc(member), "")
        return
    bases = ", ".join(base.__name__ for base in member.__bases__ if base is not object)
    yield from (f"### class `{member.__name__}`" + (f" ({bases})" if bases else ""), "", _doc(member), "")
    if issubclass(member, Exception):
        return
    for name, value in vars(member).items():
        function = inspect.unwrap(value.__func__ if isinstance(value, staticmethod) else value)
        if inspect.isfunction(function) and not name.startswith("_"):
            yield from (f"#### `{name}{_signature(function)}`", "", _doc(function), "")


def _members(module: Any, name: str) -> list[Any]:
    found = [
        value
        for key, value in vars(module).items()
        if not key.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == name
    ]
    return sorted(found, key=lambda member: inspect.getsourcelines(member)[1])


def _signature(function: Any) -> str:
    parts = []
    for parameter in inspect.signature(function).parameters.values():
        if parameter.name in ("self", "params") or parameter.kind is parameter.VAR_POSITIONAL:
            continue
        mark = "**" if parameter.kind is parameter.VAR_KEYWORD else ""
        default = "" if parameter.default is parameter.empty else f"={parameter.default!r}"
        parts.append(f"{mark}{parameter.name}{default}")
    return f"({', '.join(parts)})"


def _doc(member: Any) -> str:
    found = inspect.getdoc(member)
    assert found, f"{member} has no docstring"
    return found


if __name__ == "__main__":
    sys.stdout.write(page())
