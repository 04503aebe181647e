"""Whether an offered release may run here: the chain has to have approved it.  Pure.

A release needs two acts: somebody offers it, and the chain names it.  The chain's value is a JSON object with
`safe_to_upgrade`, `version` and `version_light`; a plain text is a version that is safe.  Farms for tests take a
release before it is marked safe, and the network `dev` takes any version.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass

ANY_VERSION = "dev"
"""Run mode in which the approved version does not matter."""


@dataclass(frozen=True, slots=True)
class Approved:
    """What the chain says."""

    version: str = ""
    version_light: str = ""
    safe: bool = True


def parse(text: str) -> Approved:
    """Read the chain's value."""
    try:
        table = json.loads(text)
    except (ValueError, RecursionError):
        return Approved(text.strip(), text.strip())
    if not isinstance(table, dict):
        return Approved(text.strip(), text.strip())
    return Approved(
        str(table.get("version", "")),
        str(table.get("version_light", "")),
        table.get("safe_to_upgrade") is True,
    )


def why_not(
    offered: str,
    approved: Approved,
    *,
    mode: str,
    farm: int,
    light: bool = False,
    test_farms: Collection[int] = (),
) -> str:
    """Why an offered version is not taken yet; "" when it may be."""
    named = approved.version_light if light else approved.version
    if mode != ANY_VERSION and offered != named:
        return f"{offered} is offered, the chain approves {named or 'none'}"
    if not approved.safe and farm not in test_farms:
        return f"{offered} is offered, but not marked safe by the chain yet"
    return ""
