"""The log of changed objects, `updates.log`: for people, one line an object."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from dynamo.core.components.persistency import Version
from dynamo.core.master.changelog import Commands

UPDATES = logging.getLogger("dynamo.updates")
"""Who keeps the log gives this a handler."""
AT_ONCE = 1000
"""How many lines are written at once."""


def note_updates(version: Version, commands: Commands, objects: Sequence[Any]) -> None:
    """Write what a batch has changed, where that is kept; `objects` are what became of its commands."""
    if not UPDATES.handlers:
        return
    lines = [
        f"{version.sequence} {action} {obj!r}"
        for (action, _), obj in zip(commands, objects, strict=True)
        if obj is not None
    ]
    for begin in range(0, len(lines), AT_ONCE):
        UPDATES.info("%s", "\n".join(lines[begin : begin + AT_ONCE]))
