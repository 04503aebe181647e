"""Requests of users to copy and to delete."""

from __future__ import annotations

from typing import Any

from dynamo.core.objectrepository import ObjectRepository
from dynamo.core.registry.requests import STATUSES, Kind
from dynamo.dataformat import Configuration, ObjectError
from dynamo.dataformat.request import copy_request, deletion_request, find_item
from dynamo.web.exceptions import (
    AuthorizationError,
    ExtraParameter,
    IllFormedRequest,
    InvalidRequest,
    MissingParameter,
)
from dynamo.web.modules._base import WebModule
from dynamo.web.modules._common import fits, listed, number_of, text_of, yesno
from dynamo.web.request import Caller

Request = dict[str, Any]


def shown(kind: Kind, row: Request) -> Request:
    """A request as people see it."""
    return (copy_request(row) if kind == "copy" else deletion_request(row)).to_dict()


def _number(values: Request, name: str, default: int | None = None) -> int | None:
    return number_of(values, name, default, lowest=-(10**18))


class _RequestModule(WebModule):
    """Reads parameters of query, form, or a body in JSON."""

    kind: Kind = "copy"
    known: tuple[str, ...] = ()

    def values(self, request: Request) -> Request:
        """All parameters.  Raises ExtraParameter for one that means nothing here."""
        values = dict(request)
        if self.input_data is not None:
            if not isinstance(self.input_data, dict):
                raise IllFormedRequest(
                    "input", type(self.input_data).__name__, hint="data must be a dict type"
                )
            values.update(self.input_data)
        for name in values:
            if name not in (*self.known, "callback"):
                raise ExtraParameter(name)
        return values

    @staticmethod
    def items(values: Request, inventory: ObjectRepository) -> list[str] | None:
        """Datasets and blocks, all of which are known.  Raises InvalidRequest."""
        items = listed(values, "item")
        for item in items or ():
            try:
                find_item(inventory, item)
            except ObjectError:
                what = "item" if inventory.datasets.get(item.partition("#")[0]) is None else "block"
                raise InvalidRequest(f"Invalid {what} name {item}") from None
        return items

    @staticmethod
    def sites(values: Request, inventory: ObjectRepository) -> list[str] | None:
        """Sites that patterns choose, each at least one.  Raises InvalidRequest."""
        patterns = listed(values, "site")
        if patterns is None:
            return None
        found: list[str] = []
        for pattern in patterns:
            fitting = [name for name in sorted(inventory.sites.keys()) if fits(name, [pattern])]
            if not fitting:
                raise InvalidRequest(f"Invalid site name {pattern}")
            found += fitting
        return list(dict.fromkeys(found))


class CopyRequest(_RequestModule):
    """`copy`: `item`, `site` (patterns), `group`, `n` copies (0 = at every site); `request_id` to change a new one."""

    known = ("request_id", "item", "site", "group", "n", "cache")

    def __init__(self, config: Configuration) -> None:
        super().__init__(config)
        self.must_authenticate = True
        self._default_group = _configured(config, "default_group")
        self._default_sites = _configured(config, "default_sites")

    def run(self, caller: Caller, request: Request, inventory: ObjectRepository) -> Any:
        values = self.values(request)
        if yesno(values, "cache"):
            return [self._cached(values, caller)]
        number = _number(values, "request_id")
        items, sites = self.items(values, inventory), self.sites(values, inventory)
        group = text_of(values, "group", self._default_group if number is None else None)
        copies = _number(values, "n", 1 if number is None else None)
        if group is not None and inventory.groups.get(group) is None:
            raise InvalidRequest(f"Invalid group name {group}")
        if copies is not None and copies < 0:
            raise IllFormedRequest("n", copies, hint="n must not be negative")
        if number is not None:
            self._check_owner(number, caller)
            found = self.registry.ask(
                "requests.change_copy",
                request_id=number,
                items=items,
                sites=sites,
                group=group,
                copies=copies,
            )
            return [shown(self.kind, found)]
        if not items:
            raise MissingParameter("item")
        if not sites:
            sites = [name for name in inventory.sites if fits(name, list(self._default_sites or ()))]
        if not sites:
            raise MissingParameter("site")
        if group is None:
            raise MissingParameter("group")
        found = self.registry.ask(
            "requests.copy",
            items=items,
            sites=sites,
            group=group,
            copies=copies,
            user=caller.name,
            dn=caller.dn,
        )
        return [shown(self.kind, found)]

    def _cached(self, values: Request, caller: Caller) -> Request:
        for name in ("item", "site"):
            if name not in values:
                raise MissingParameter(name)
        found: Request = self.registry.ask(
            "requests.cache_copy",
            item=",".join(listed(values, "item") or ()),
            sites=",".join(listed(values, "site") or ()),
            user=caller.name,
        )
        return found

    def _check_owner(self, number: int, caller: Caller) -> None:
        _own(self.registry.ask("requests.find", kind="copy", request_id=number), number, caller)


def _configured(config: Configuration, name: str) -> Any:
    request = config.get("request", None)
    copy = None if request is None else request.get("copy", None)
    return None if copy is None else copy.get(name, None)


def _own(found: list[Request], number: int, caller: Caller) -> None:
    if not found:
        raise InvalidRequest(f"Request {number} not found")
    if found[0]["user"] != caller.name and ("admin", "registry") not in caller.authlist:
        raise AuthorizationError


class DeletionRequest(_RequestModule):
    """`delete`: `item` and `site` (patterns)."""

    kind: Kind = "deletion"
    known = ("item", "site")

    def __init__(self, config: Configuration) -> None:
        super().__init__(config)
        self.must_authenticate = True

    def run(self, caller: Caller, request: Request, inventory: ObjectRepository) -> Any:
        values = self.values(request)
        items, sites = self.items(values, inventory), self.sites(values, inventory)
        for name, found in (("item", items), ("site", sites)):
            if not found:
                raise MissingParameter(name)
        made = self.registry.ask("requests.delete", items=items, sites=sites, user=caller.name, dn=caller.dn)
        return [shown(self.kind, made)]


class PollCopy(_RequestModule):
    """`pollcopy`: `request_id`, `item`, `site`, `status`, `user`; an item with a site gives only the latest."""

    known = ("request_id", "item", "site", "status", "user", "limit", "after")

    def run(self, caller: Caller, request: Request, inventory: ObjectRepository) -> Any:
        values = self.values(request)
        statuses = listed(values, "status")
        for status in statuses or ():
            if status not in STATUSES:
                raise InvalidRequest(f"Invalid status value {status}")
        items, sites = self.items(values, inventory), self.sites(values, inventory)
        found = self.registry.ask(
            "requests.find",
            kind=self.kind,
            request_id=_number(values, "request_id"),
            statuses=statuses,
            users=listed(values, "user"),
            items=items,
            sites=sites,
            after=_number(values, "after", 0),
            limit=_number(values, "limit", 10_000),
        )
        if items and sites and found:
            moment = "last_request" if self.kind == "copy" else "request_time"
            found = [max(found, key=lambda row: (row[moment], row["request_id"]))]
        self.message = self.found_message if found else "Request not found"
        return [shown(self.kind, row) for row in found]

    found_message = "Request found"


class PollDeletion(PollCopy):
    """`polldelete`: the same for deletions."""

    kind: Kind = "deletion"
    found_message = ""


class CancelCopy(_RequestModule):
    """`cancelcopy`: end an own request, by `request_id`."""

    known = ("request_id",)

    def __init__(self, config: Configuration) -> None:
        super().__init__(config)
        self.must_authenticate = True

    def run(self, caller: Caller, request: Request, inventory: ObjectRepository) -> Any:
        values = self.values(request)
        number = _number(values, "request_id")
        if number is None:
            raise MissingParameter("request_id")
        _own(self.registry.ask("requests.find", kind=self.kind, request_id=number), number, caller)
        found = self.registry.ask("requests.close", kind=self.kind, request_id=number, status="cancelled")
        self.message = "Request cancelled"
        return [shown(self.kind, found)]


class CancelDeletion(CancelCopy):
    """`canceldelete`: the same for a deletion."""

    kind: Kind = "deletion"


export_data = {
    "copy": CopyRequest,
    "pollcopy": PollCopy,
    "cancelcopy": CancelCopy,
    "delete": DeletionRequest,
    "polldelete": PollDeletion,
    "canceldelete": CancelDeletion,
}
export_web: dict[str, type] = {}
registry_alias = {"request": export_data}
