"""Requests in the form of the older data service."""

from __future__ import annotations

from typing import Any

from dynamo.core.objectrepository import ObjectRepository
from dynamo.core.registry.requests import Kind
from dynamo.web.exceptions import IllFormedRequest
from dynamo.web.modules._base import WebModule
from dynamo.web.modules._common import listed
from dynamo.web.request import Caller

Row = dict[str, Any]
_KINDS: dict[str, Kind] = {"xfer": "copy", "delete": "deletion"}


class RequestList(WebModule):
    """`requestlist`: `request` (numbers), `requested_by`, `node`, `dataset` or `block`, `type` xfer or delete."""

    kinds: tuple[str, ...] = tuple(_KINDS)

    def run(self, caller: Caller, request: Row, inventory: ObjectRepository) -> Any:
        if not set(request) & {"request", "requested_by", "node", "dataset", "block", "type", "status"}:
            return {"request": []}
        wanted = request.get("type")
        if wanted is not None and wanted not in self.kinds:
            raise IllFormedRequest("type", wanted, allowed=self.kinds)
        items = [*(listed(request, "dataset") or ()), *(listed(request, "block") or ())]
        numbers = listed(request, "request")
        rows = []
        for kind in self.kinds if wanted is None else (wanted,):
            found = self.registry.ask(
                "requests.find",
                kind=_KINDS[kind],
                users=listed(request, "requested_by"),
                items=items or None,
                sites=listed(request, "node"),
            )
            rows += [
                self.described(kind, row)
                for row in found
                if numbers is None or str(row["request_id"]) in numbers
            ]
        return {"request": rows}

    @staticmethod
    def described(kind: str, row: Row) -> Row:
        """One request."""
        state = {"new": "pending", "rejected": "refused", "cancelled": "refused"}.get(
            row["status"], "approved"
        )
        return {
            "id": row["request_id"],
            "type": kind,
            "approval": state,
            "requested_by": row["user"],
            "time_create": row.get("first_request", row.get("request_time")),
            "node": [{"name": site, "decision": state} for site in row["site"]],
        }


class TransferRequests(RequestList):
    """`transferrequests`: the same for copies, with what is to be copied and for which group."""

    kinds = ("xfer",)

    @staticmethod
    def described(kind: str, row: Row) -> Row:
        """One request."""
        return {
            **RequestList.described(kind, row),
            "group": row["group"],
            "requested_by": {"username": row["user"], "dn": row["dn"]},
            "destinations": {"node": [{"name": site} for site in row["site"]]},
            "data": {
                "dbs": {
                    "dataset": [{"name": item} for item in row["item"] if "#" not in item],
                    "block": [{"name": item} for item in row["item"] if "#" in item],
                }
            },
        }
