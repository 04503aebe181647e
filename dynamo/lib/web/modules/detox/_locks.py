"""Deletion locks of users."""

from __future__ import annotations

from typing import Any

from dynamo.core.objectrepository import ObjectRepository
from dynamo.dataformat import Configuration, ConfigurationError
from dynamo.dataformat.times import spaced_time
from dynamo.policy.dates import parse_time
from dynamo.web.exceptions import ExtraParameter, IllFormedRequest, InvalidRequest, MissingParameter
from dynamo.web.modules._base import WebModule
from dynamo.web.modules._common import fits, listed, yesno
from dynamo.web.modules._html import HTMLMixin
from dynamo.web.request import Caller

Row = dict[str, Any]


def _shown(lock: Row) -> Row:
    return {
        name: spaced_time(value) if name in ("locked", "expires", "unlocked") else value
        for name, value in lock.items()
    }


def _expiry(text: Any) -> int:
    try:
        return parse_time(str(text).replace("Z", " UTC") if str(text).endswith("Z") else str(text))
    except ConfigurationError:
        raise IllFormedRequest(
            "expires", text, hint="write a date such as 2030-01-31 or 2030-01-31 12:00:00"
        ) from None


def _places(values: Row, inventory: ObjectRepository) -> dict[str, list[str] | None]:
    """Sites and groups that patterns choose.  Raises InvalidRequest for one that chooses nothing."""
    found: dict[str, list[str] | None] = {"sites": None, "groups": None}
    names = {"sites": list(inventory.sites.keys()), "groups": [name for name in inventory.groups if name]}
    for kind, known in names.items():
        for pattern in listed(values, kind) or ():
            fitting = sorted(name for name in known if fits(name, [pattern]))
            if not fitting:
                raise InvalidRequest(f"Invalid {kind[:-1]} name {pattern}")
            found[kind] = [*(found[kind] or ()), *fitting]
    return found


class _LockModule(WebModule):
    known: tuple[str, ...] = ()

    def __init__(self, config: Configuration) -> None:
        super().__init__(config)
        self.must_authenticate = True

    def checked(self, request: Row) -> Row:
        """The parameters.  Raises ExtraParameter for one that means nothing here."""
        for name in request:
            if name not in (*self.known, "callback"):
                raise ExtraParameter(name)
        return request


class Lock(_LockModule):
    """`lock/lock`: keep `item` (a dataset, a block or a pattern) until `expires`, at `sites`, of `groups`."""

    known = ("item", "expires", "sites", "groups", "comment", "service")

    def run(self, caller: Caller, request: Row, inventory: ObjectRepository) -> Any:
        values = self.checked(request)
        for name in ("item", "expires"):
            if name not in values:
                raise MissingParameter(name)
        done = self.registry.ask(
            "deletion_locks.lock",
            item=str(values["item"]),
            expires=_expiry(values["expires"]),
            user=caller.name,
            dn=caller.dn,
            service=values.get("service"),
            comment=values.get("comment"),
            **_places(values, inventory),
        )
        self.message = "Lock created" if done["created"] else "Lock updated"
        return [_shown(lock) for lock in done["locks"]]


class Unlock(_LockModule):
    """`lock/unlock`: give own locks back, by `lockid`, or all that have this `item`, `sites`, `groups`."""

    known = ("lockid", "item", "sites", "groups", "service")

    def run(self, caller: Caller, request: Row, inventory: ObjectRepository) -> Any:
        values = self.checked(request)
        if not values:
            raise MissingParameter("lockid or item")
        chosen = []
        for lock in self.registry.ask("deletion_locks.listed", user=caller.name, with_expired=True):
            wanted = str(lock["lockid"]) in (listed(values, "lockid") or [str(lock["lockid"])])
            for name in ("item", "sites", "groups", "service"):
                wanted = wanted and (name not in values or lock.get(name) in (listed(values, name) or ()))
            if wanted:
                chosen.append(lock["lockid"])
        given = (
            self.registry.ask("deletion_locks.unlock", lock_ids=chosen, user=caller.name) if chosen else []
        )
        self.message = f"{len(given)} locks removed" if given else "No lock found"
        return [_shown(lock) for lock in given] or None


class List(_LockModule):
    """`lock/list`: locks by `user`, `service`, `item`, `sites`, `groups`, `lockid`; `showall` with expired ones."""

    known = ("user", "service", "item", "sites", "groups", "lockid", "showall")

    def __init__(self, config: Configuration) -> None:
        super().__init__(config)
        self.must_authenticate = False

    def run(self, caller: Caller, request: Row, inventory: ObjectRepository) -> Any:
        values = self.checked(request)
        found = [
            lock
            for lock in self.registry.ask(
                "deletion_locks.listed",
                user=values.get("user"),
                service=values.get("service"),
                with_expired=yesno(values, "showall"),
            )
            if all(
                name not in values or str(lock.get(name)) in (listed(values, name) or ())
                for name in ("item", "sites", "groups", "lockid")
            )
        ]
        self.message = f"{len(found)} locks found"
        return [_shown(lock) for lock in found]


class Set(_LockModule):
    """`lock/set`: have exactly the locks of a list in JSON; all other own locks are given back."""

    known = ("service",)

    def run(self, caller: Caller, request: Row, inventory: ObjectRepository) -> Any:
        values = self.checked(request)
        if not isinstance(self.input_data, list) or not all(isinstance(row, dict) for row in self.input_data):
            raise IllFormedRequest(
                "input", type(self.input_data).__name__, hint="data must be a list of objects"
            )
        locks = []
        for row in self.input_data:
            for name in ("item", "expires"):
                if name not in row:
                    raise MissingParameter(name, f"lock {row}")
            places = _places(row, inventory)
            locks.append(
                {
                    "item": row["item"],
                    "expires": _expiry(row["expires"]),
                    "comment": row.get("comment"),
                    **places,
                }
            )
        found = self.registry.ask(
            "deletion_locks.replace",
            locks=locks,
            user=caller.name,
            dn=caller.dn,
            service=values.get("service"),
        )
        self.message = f"{len(found)} locks"


class Help(WebModule, HTMLMixin):
    """What the commands do."""

    def __init__(self, config: Configuration) -> None:
        WebModule.__init__(self, config)
        HTMLMixin.__init__(self, "Deletion lock", "detox/lock_help.html")

    def run(self, caller: Caller, request: Row, inventory: ObjectRepository) -> Any:
        return self.form_html()
