"""Requests as web modules see them."""

from __future__ import annotations

import html
import json
from dataclasses import dataclass
from typing import Any, NamedTuple
from urllib.parse import unquote_plus

MAX_PARAMETERS = 10_000
"""Most parameters of one request."""


class Caller(NamedTuple):
    """Who asks.  Without a certificate nobody: `(None, None, 0, [])`."""

    name: str | None
    dn: str | None
    id: int
    authlist: list[tuple[str | None, str]]


NOBODY = Caller(None, None, 0, [])


class Unreadable(Exception):
    """The body cannot be read; the text says why."""


@dataclass(frozen=True, slots=True)
class Parameters:
    """Parameters by name, and a body that was JSON."""

    values: dict[str, Any]
    input_data: Any


def read_parameters(method: str, query: str, body: bytes, content_type: str | None) -> Parameters:
    """Parameters of query and form, the query's first; a body that is JSON is data, whatever it says it is.

    Raises Unreadable for a body that is neither.
    """
    pairs = _pairs(query)
    data = None
    if method == "POST" and body:
        kind = (content_type or "application/x-www-form-urlencoded").partition(";")[0].strip().lower()
        try:
            data = json.loads(body)
        except (ValueError, RecursionError):
            if kind == "application/json":
                raise Unreadable("Could not parse input.") from None
            if kind != "application/x-www-form-urlencoded":
                raise Unreadable(f"Unknown Content-Type {content_type}.") from None
            pairs += _pairs(body.decode("utf-8", "replace"))
    if len(pairs) > MAX_PARAMETERS:
        raise Unreadable(f"{len(pairs)} parameters were given; at most {MAX_PARAMETERS} are read.")
    single: dict[str, list[str]] = {}
    lists: dict[str, list[str]] = {}
    for name, value in pairs:
        if name.endswith("[]"):
            lists.setdefault(name[:-2], []).append(value)
        else:
            single.setdefault(name, []).append(value)
    values: dict[str, Any] = {name: found[0] if len(found) == 1 else found for name, found in single.items()}
    for name, found in lists.items():
        values[name] = found if name not in single else [*single[name], *found]
    return Parameters(values, data)


def _pairs(text: str) -> list[tuple[str, str]]:
    pairs = []
    for part in text.replace(";", "&").split("&"):
        name, mark, value = part.partition("=")
        if mark and value:
            pairs.append((unquote_plus(name), html.escape(unquote_plus(value), quote=False)))
    return pairs
