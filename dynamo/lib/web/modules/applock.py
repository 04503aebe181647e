"""Locks that keep applications from being started."""

from __future__ import annotations

from typing import Any

from dynamo.core.objectrepository import ObjectRepository
from dynamo.dataformat import Configuration
from dynamo.dataformat.times import iso_time
from dynamo.web.exceptions import ExtraParameter, MissingParameter
from dynamo.web.modules._base import WebModule
from dynamo.web.modules._html import HTMLMixin
from dynamo.web.request import Caller


class _LockModule(WebModule):
    known: tuple[str, ...] = ("app", "service", "note")

    def asked(self, request: dict[str, Any]) -> dict[str, Any]:
        """Parameters that were given.  Raises MissingParameter, ExtraParameter."""
        if "app" not in request:
            raise MissingParameter("app")
        for name in request:
            if name not in (*self.known, "callback"):
                raise ExtraParameter(name)
        return {name: str(request[name]) for name in self.known if name in request}

    @staticmethod
    def shown(owner: dict[str, Any]) -> dict[str, Any]:
        """Who has a lock, with the time in words."""
        return {**owner, "lock_time": iso_time(owner["lock_time"])}


class Check(_LockModule):
    """`check`: whether `app` is locked, and by whom."""

    known = ("app",)

    def run(self, caller: Caller, request: dict[str, Any], inventory: ObjectRepository) -> Any:
        owner = self.registry.ask("locks.owner", **self.asked(request))
        self.message = "Not locked" if owner is None else "Locked"
        return None if owner is None else self.shown(owner)


class Lock(_LockModule):
    """`lock`: queue for the lock of `app`; `Success` to whoever has it, `Wait` to all others."""

    def __init__(self, config: Configuration) -> None:
        super().__init__(config)
        self.must_authenticate = True

    def run(self, caller: Caller, request: dict[str, Any], inventory: ObjectRepository) -> Any:
        asked = self.asked(request)
        owner = self.registry.ask("locks.lock", user=caller.name, **asked)
        is_mine = (owner["user"], owner["service"]) == (caller.name, asked.get("service"))
        self.message = "Success" if is_mine else "Wait"
        return self.shown(owner)


class Unlock(_LockModule):
    """`unlock`: take back the newest own lock of `app`."""

    known = ("app", "service")

    def __init__(self, config: Configuration) -> None:
        super().__init__(config)
        self.must_authenticate = True

    def run(self, caller: Caller, request: dict[str, Any], inventory: ObjectRepository) -> Any:
        owner = self.registry.ask("locks.unlock", user=caller.name, **self.asked(request))
        self.message = "Unlocked" if owner is None else "Locked"
        return None if owner is None else self.shown(owner)


class Current(WebModule):
    """`current`: applications that wait or run, oldest first."""

    def __init__(self, config: Configuration) -> None:
        super().__init__(config)
        self.require_appmanager = True

    def run(self, caller: Caller, request: dict[str, Any], inventory: ObjectRepository) -> Any:
        return [
            {
                "title": app["title"],
                "write_request": app["auth_level"] == "write",
                "host": app["user_host"],
                "queued_time": iso_time(app["timestamp"]),
            }
            for app in reversed(self.appmanager.applications)
            if app["status"] in ("new", "assigned", "run")
        ]


class Help(WebModule, HTMLMixin):
    """What the commands do."""

    def __init__(self, config: Configuration) -> None:
        WebModule.__init__(self, config)
        HTMLMixin.__init__(self, "Application lock", "applock/help.html")

    def run(self, caller: Caller, request: dict[str, Any], inventory: ObjectRepository) -> Any:
        return self.form_html()


export_data: dict[str, type] = {"check": Check, "lock": Lock, "unlock": Unlock, "current": Current}
export_web = {"help": Help}
registry_alias = {"applock": export_data}
