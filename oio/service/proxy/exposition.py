"""Numbers of one service in the text format of Prometheus."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any


def exposed(service_id: str, values: Mapping[str, Any], prefix: str = "meta") -> str:
    """One line for each number, nested ones under joined names, labelled with the service."""
    label = service_id.replace("\\", r"\\").replace('"', r"\"")
    return "".join(f'{name}{{service_id="{label}"}} {value}\n' for name, value in _numbers(prefix, values))


def _numbers(prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, int | float]]:
    for key, value in values.items():
        name = f"{prefix}_{re.sub(r'[^A-Za-z0-9_]', '_', key)}"
        if isinstance(value, Mapping):
            yield from _numbers(name, value)
        elif isinstance(value, int | float):
            yield name, int(value) if isinstance(value, bool) else value
