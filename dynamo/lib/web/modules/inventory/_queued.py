"""Injection and deletion that wait for the next run of the updater, so that they need no right to write now."""

from __future__ import annotations

from typing import Any

from dynamo.core.objectrepository import ObjectRepository
from dynamo.dataformat import Configuration
from dynamo.web.modules._base import WebModule
from dynamo.web.modules.inventory._changes import DeleteSync, InjectSync
from dynamo.web.request import Caller

AT_ONCE = 5000
"""How many changes are handed over at a time."""


class _Later(WebModule):
    def __init__(self, config: Configuration) -> None:
        super().__init__(config)
        self.write_enabled = False

    def run(self, caller: Caller, request: dict[str, Any], inventory: ObjectRepository) -> Any:
        counts = super().run(caller, request, inventory)
        commands = [(command.action, command.obj) for command in inventory.commands]
        for begin in range(0, len(commands), AT_ONCE):
            self.registry.ask("injections.add", commands=commands[begin : begin + AT_ONCE])
        return counts


class Inject(_Later, InjectSync):
    """`inject`: as `injectsync`, later."""

    done = "Data will be injected in the regular update cycle later."


class Delete(_Later, DeleteSync):
    """`delete`: as `deletesync`, later."""

    done = "Data will be deleted in the regular update cycle later."
