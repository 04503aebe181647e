"""Requests of users to copy and to delete datasets and blocks.  They are no part of an inventory."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any, ClassVar

from dynamo.dataformat.block import Block
from dynamo.dataformat.dataset import Dataset
from dynamo.dataformat.enumeration import Enumeration
from dynamo.dataformat.exceptions import ObjectError
from dynamo.dataformat.repository import Repository
from dynamo.dataformat.site import Site
from dynamo.dataformat.times import iso_time

STATUS = Enumeration("status of a request", "new", "activated", "completed", "rejected", "cancelled")
ACTION_STATUS = Enumeration("status of an action", "new", "queued", "failed", "completed")
OPEN = ("new", "activated")
"""Words for requests that have not ended."""


def find_item(inventory: Repository, name: str) -> tuple[Dataset, Block | None]:
    """What a request names: a dataset, or one of its blocks.  Raises ObjectError when it is unknown."""
    dataset_name, mark, block_name = name.partition("#")
    dataset = inventory.datasets.get(dataset_name)
    if dataset is None:
        raise ObjectError(f"Unknown item {name}")
    if not mark:
        return dataset, None
    return dataset, dataset.find_block(Block.to_internal_name(block_name), must_find=True)


class RequestAction:
    """One item that goes to, or leaves, one site because of a request.  `last_update` in Unix seconds."""

    __slots__ = ("item", "last_update", "site", "status")

    ST_NEW: ClassVar[int] = 1
    ST_QUEUED: ClassVar[int] = 2
    ST_FAILED: ClassVar[int] = 3
    ST_COMPLETED: ClassVar[int] = 4

    status_val = staticmethod(ACTION_STATUS.val)
    status_name = staticmethod(ACTION_STATUS.name)

    def __init__(self, item: str, site: str, status: int | str, last_update: int) -> None:
        """Raises ObjectError for an unknown status."""
        self.item = item
        self.site = site
        self.status = ACTION_STATUS.check(status)
        self.last_update = last_update

    def to_dict(self) -> dict[str, Any]:
        """For people, with the time in words."""
        return {
            "item": self.item,
            "site": self.site,
            "status": ACTION_STATUS.name(self.status),
            "updated": iso_time(self.last_update),
        }


class Request:
    """What requests of either kind have.

    `items` are names of datasets and full names of blocks, `sites` names; `actions` is None until the request was
    activated.
    """

    __slots__ = ("actions", "items", "reject_reason", "request_id", "sites", "status", "user", "user_dn")

    ST_NEW: ClassVar[int] = 1
    ST_ACTIVATED: ClassVar[int] = 2
    ST_COMPLETED: ClassVar[int] = 3
    ST_REJECTED: ClassVar[int] = 4
    ST_CANCELLED: ClassVar[int] = 5

    status_val = staticmethod(STATUS.val)
    status_name = staticmethod(STATUS.name)

    def __init__(
        self, request_id: int, user: str, user_dn: str, status: int | str, reject_reason: str | None = None
    ) -> None:
        """Raises ObjectError for an unknown status."""
        self.request_id = request_id
        self.user = user
        self.user_dn = user_dn
        self.status = STATUS.check(status)
        self.reject_reason = reject_reason
        self.sites: list[str] = []
        self.items: list[str] = []
        self.actions: list[RequestAction] | None = None

    @property
    def is_open(self) -> bool:
        """May something still come of it?"""
        return STATUS.name(self.status) in OPEN

    def activate(self, actions: Iterable[tuple[str, str, int] | tuple[str, str, int, int | str]]) -> None:
        """Say what is done for it: item, site, time, and the status unless it is new.

        Raises ObjectError for an unknown status; nothing is changed then.
        """
        made = []
        for item, site, moment, *status in actions:
            made.append(RequestAction(item, site, status[0] if status else RequestAction.ST_NEW, moment))
        self.actions, self.status = made, Request.ST_ACTIVATED

    def find_items(
        self, inventory: Repository, invalid_items: list[str] | None = None
    ) -> dict[Dataset, set[Block] | None]:
        """What it asks for in an inventory: blocks by dataset, or None for all of a dataset.

        Names that are unknown there are left out and added to `invalid_items`.
        """
        found: dict[Dataset, set[Block] | None] = {}
        for name in self.items:
            try:
                dataset, block = find_item(inventory, name)
            except ObjectError:
                if invalid_items is not None:
                    invalid_items.append(name)
                continue
            if block is None:
                found[dataset] = None
            elif (blocks := found.setdefault(dataset, set())) is not None:
                blocks.add(block)
        return found

    def find_sites(self, inventory: Repository, invalid_sites: list[str] | None = None) -> list[Site]:
        """Its sites in an inventory.  Names that are unknown there are left out and added to `invalid_sites`."""
        found = []
        for name in self.sites:
            site = inventory.sites.get(name)
            if site is not None:
                found.append(site)
            elif invalid_sites is not None:
                invalid_sites.append(name)
        return found

    def to_dict(self) -> dict[str, Any]:
        """For people: names as web modules have them, times in words."""
        shown: dict[str, Any] = {
            "request_id": self.request_id,
            "item": self.items,
            "site": self.sites,
            "status": STATUS.name(self.status),
            "user": self.user,
            "dn": self.user_dn,
        }
        if self.reject_reason is not None:
            shown["reason"] = self.reject_reason
        if self.actions is not None:
            shown["active"] = [action.to_dict() for action in self.actions]
        return shown


class CopyRequest(Request):
    """A request for `n` copies, 0 = at every site, that belong to a group.  Times in Unix seconds."""

    __slots__ = ("first_request", "group", "last_request", "n", "request_count")

    def __init__(
        self,
        request_id: int,
        user: str,
        user_dn: str,
        group: str,
        n: int,
        status: int | str,
        first_request: int,
        last_request: int,
        request_count: int,
        reject_reason: str | None = None,
    ) -> None:
        """Raises ObjectError for an unknown status."""
        super().__init__(request_id, user, user_dn, status, reject_reason)
        self.group = group
        self.n = n
        self.first_request = first_request
        self.last_request = last_request
        self.request_count = request_count

    def to_dict(self) -> dict[str, Any]:
        """For people: names as web modules have them, times in words."""
        return {
            **super().to_dict(),
            "group": self.group,
            "n": self.n,
            "first_request": iso_time(self.first_request),
            "last_request": iso_time(self.last_request),
            "request_count": self.request_count,
        }


class DeletionRequest(Request):
    """A request to delete.  `request_time` in Unix seconds."""

    __slots__ = ("request_time",)

    def __init__(
        self,
        request_id: int,
        user: str,
        user_dn: str,
        status: int | str,
        request_time: int,
        reject_reason: str | None = None,
    ) -> None:
        """Raises ObjectError for an unknown status."""
        super().__init__(request_id, user, user_dn, status, reject_reason)
        self.request_time = request_time

    def to_dict(self) -> dict[str, Any]:
        """For people: names as web modules have them, times in words."""
        return {**super().to_dict(), "request_time": iso_time(self.request_time)}


def copy_request(row: Mapping[str, Any]) -> CopyRequest:
    """A request for copies from an answer of the registry.  Raises KeyError when the row lacks something."""
    request = CopyRequest(
        row["request_id"],
        row["user"],
        row["dn"],
        row["group"],
        row["n"],
        row["status"],
        row["first_request"],
        row["last_request"],
        row["request_count"],
        row.get("reason"),
    )
    _add_parts(request, row)
    return request


def deletion_request(row: Mapping[str, Any]) -> DeletionRequest:
    """A request to delete from an answer of the registry.  Raises KeyError when the row lacks something."""
    request = DeletionRequest(
        row["request_id"], row["user"], row["dn"], row["status"], row["request_time"], row.get("reason")
    )
    _add_parts(request, row)
    return request


def _add_parts(request: Request, row: Mapping[str, Any]) -> None:
    request.items, request.sites = list(row["item"]), list(row["site"])
    actions: Collection[Mapping[str, Any]] | None = row.get("active")
    if actions is not None:
        request.actions = [
            RequestAction(action["item"], action["site"], action["status"], action["updated"])
            for action in actions
        ]
