"""Take secrets out of a workload's data before anybody but its owner sees it.  Pure."""

from __future__ import annotations

import re
from typing import Any

HIDDEN = "<hidden>"
SECRET_FIELDS = frozenset(
    {"wireguard_private_key", "private_key", "password", "key", "hex_key", "seed", "secret", "token"}
)
"""Names of fields, in small letters, whose value is a secret wherever they stand."""
SECRET_MAPS = frozenset({"env"})
"""Every value below these is the tenant's own affair."""
_CREDENTIALS = re.compile(r"(?<=://)[^/@\s]+@")


def redacted(data: Any) -> Any:
    """A copy in which secrets are replaced; what is empty stays empty, so that one sees whether it was set."""
    if isinstance(data, dict):
        return {name: _field(name, value) for name, value in data.items()}
    if isinstance(data, list):
        return [redacted(one) for one in data]
    if isinstance(data, str):
        return _CREDENTIALS.sub(f"{HIDDEN}@", data)
    return data


def _field(name: str, value: Any) -> Any:
    lower = name.lower()
    if lower in SECRET_MAPS and isinstance(value, dict):
        return {each: HIDDEN if inner else inner for each, inner in value.items()}
    if lower in SECRET_FIELDS and not isinstance(value, dict | list):
        return HIDDEN if value else value
    return redacted(value)
