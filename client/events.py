"""What happens on the way of a deployment, for whoever shows it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened: `kind` says what, the rest about whom.

    `contract` (made or changed; `hash` is what it holds now), `accepted` (by the node), `workload` (has a new result:
    `state`, `message`), `cancelled` (a contract), `elsewhere` (the node has no room,
    another one is tried; `message` says why).
    """

    kind: str
    node: int = 0
    contract: int = 0
    workload: str = ""
    state: str = ""
    message: str = ""
    hash: str = ""


Report = Callable[[Event], None]


def ignore(event: Event) -> None:
    """Report to nobody."""
