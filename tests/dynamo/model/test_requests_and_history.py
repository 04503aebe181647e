"""Requests, records of history and operations on files, as programs handle them."""

from __future__ import annotations

from typing import Any

import pytest
from dynamo.core.objectrepository import ObjectRepository
from dynamo.dataformat import Block, Dataset, HistoryRecord, ObjectError, Site
from dynamo.dataformat.fileop import Deletion, Operation, TaskState, Transfer
from dynamo.dataformat.history import history_records
from dynamo.dataformat.request import (
    CopyRequest,
    DeletionRequest,
    Request,
    RequestAction,
    copy_request,
    deletion_request,
)

ROW = {
    "request_id": 7, "status": "activated", "user": "jane", "dn": "/CN=jane", "group": "g", "n": 2,
    "first_request": 0, "last_request": 86400, "request_count": 3, "item": ["/D", "/E#b", "/E#x", "/F"],
    "site": ["S", "T"], "active": [{"item": "/D", "site": "S", "status": "queued", "updated": 60}],
}  # fmt: skip


def test_numbers_of_statuses_are_those_that_programs_know() -> None:
    assert [Request.status_name(number) for number in range(1, 6)] == [
        "new", "activated", "completed", "rejected", "cancelled",
    ]  # fmt: skip
    assert [RequestAction.status_name(number) for number in range(1, 5)] == [
        "new", "queued", "failed", "completed",
    ]  # fmt: skip
    assert (Request.ST_NEW, Request.ST_CANCELLED, RequestAction.ST_FAILED) == (1, 5, 3)
    assert (HistoryRecord.OP_COPY, HistoryRecord.OP_DELETE) == (0, 1)
    assert CopyRequest(1, "u", "/CN=u", "g", 1, "Completed", 0, 0, 1).status == Request.ST_COMPLETED
    with pytest.raises(ObjectError, match="Unknown status of a request 'gone'"):
        DeletionRequest(1, "u", "/CN=u", "gone", 0)
    with pytest.raises(ObjectError, match="Unknown status of an action 9"):
        RequestAction("/D", "S", 9, 0)


def test_a_request_for_copies_is_shown_as_web_modules_show_it() -> None:
    request = copy_request(ROW)
    assert (request.is_open, request.status, request.n) == (True, Request.ST_ACTIVATED, 2)
    assert request.to_dict() == {
        **ROW,
        "first_request": "1970-01-01T00:00:00 UTC",
        "last_request": "1970-01-02T00:00:00 UTC",
        "active": [{"item": "/D", "site": "S", "status": "queued", "updated": "1970-01-01T00:01:00 UTC"}],
    }


def test_a_rejected_request_says_why_and_one_that_is_new_has_no_actions() -> None:
    row: dict[str, Any] = {name: ROW[name] for name in ("request_id", "user", "dn", "item", "site")}
    rejected = deletion_request({**row, "status": "rejected", "reason": "too large", "request_time": 0})
    assert not rejected.is_open
    assert rejected.to_dict() == {
        **row,
        "status": "rejected",
        "reason": "too large",
        "request_time": "1970-01-01T00:00:00 UTC",
    }
    new = deletion_request({**row, "status": "new", "request_time": 0})
    assert new.actions is None
    assert not {"reason", "active"} & set(new.to_dict())


def test_items_and_sites_are_found_in_an_inventory() -> None:
    inventory = ObjectRepository()
    for name in ("/D", "/E"):
        inventory.update(Dataset(name))
        inventory.update(Block("b", name))
    inventory.update(Site("S"))
    unknown_items: list[str] = []
    unknown_sites: list[str] = []
    request = copy_request(ROW)
    found = request.find_items(inventory, unknown_items)
    assert {
        dataset.name: blocks and sorted(block.name for block in blocks) for dataset, blocks in found.items()
    } == {"/D": None, "/E": ["b"]}
    assert [site.name for site in request.find_sites(inventory, unknown_sites)] == ["S"]
    assert (unknown_items, unknown_sites) == (["/E#x", "/F"], ["T"])
    request.items = ["/E#b", "/E", "/E#b"]
    assert request.find_items(inventory) == {inventory.datasets["/E"]: None}


def test_activation_is_all_or_nothing() -> None:
    request = CopyRequest(1, "u", "/CN=u", "g", 1, "new", 0, 0, 1)
    with pytest.raises(ObjectError, match="Unknown status of an action 'lost'"):
        request.activate([("/D", "S", 5), ("/D", "T", 5, "lost")])
    assert (request.actions, request.status) == (None, Request.ST_NEW)
    request.activate([("/D", "S", 5), ("/D", "T", 6, "completed")])
    assert request.actions is not None
    assert [(action.site, action.status, action.last_update) for action in request.actions] == [
        ("S", RequestAction.ST_NEW, 5),
        ("T", RequestAction.ST_COMPLETED, 6),
    ]
    assert request.status == Request.ST_ACTIVATED


def test_what_a_cycle_did_becomes_a_record_for_each_site() -> None:
    decisions = [
        {"site": "T", "dataset": "/D", "decision": "delete", "size": 3},
        {"site": "S", "dataset": "/D", "decision": "delete", "size": 5},
        {"site": "S", "dataset": "/D", "decision": "delete", "size": 2},
        {"site": "S", "dataset": "/E", "decision": "keep", "size": 100},
        {"site": "S", "dataset": "/F", "decision": "copy", "size": 1},
    ]
    records = history_records({"cycle": 4, "started": 99}, decisions)
    assert [(r.site_name, r.operation_type, r.size, r.timestamp, r.operation_id) for r in records] == [
        ("S", HistoryRecord.OP_COPY, 1, 99, 4),
        ("S", HistoryRecord.OP_DELETE, 7, 99, 4),
        ("T", HistoryRecord.OP_DELETE, 3, 99, 4),
    ]
    assert records[0].replicas == [HistoryRecord.CopiedReplica("/F")]
    assert records[1].replicas == [HistoryRecord.DeletedReplica("/D")]
    assert str(records[2]) == "HistoryRecord (DELETE, id=4, site=T, timestamp=99, approved=True)"
    assert repr(records[0]) == "HistoryRecord(OP_COPY, 4, S)"


FILE = {
    "id": 3, "file": "/D/f", "source": "S", "site": "T", "size": 9, "status": "failed", "exit_code": 2,
    "message": "gone", "created": 10, "started": None, "finished": 12,
}  # fmt: skip


def test_rows_of_files_become_transfers_and_deletions() -> None:
    transfer = Transfer.from_row(FILE)
    assert (transfer.rid, transfer.lfn, transfer.source, transfer.target) == (3, "/D/f", "S", "T")
    assert (transfer.status, transfer.start, transfer.end, transfer.ecode) == (TaskState.FAILED, -1, 12, 2)
    assert str(transfer) == "(id: 3) /D/f 9 10 -1 12 S failed to target: T"
    deletion = Deletion.from_row({**FILE, "source": "", "status": "done", "started": 11, "exit_code": 0})
    assert (deletion.source, deletion.start, deletion.status.is_final) == ("T", 11, True)
    assert str(Operation()) == "(id: 0)  0 0 -1 -1  new"
    with pytest.raises(ValueError, match="lost"):
        Transfer.from_row({**FILE, "status": "lost"})
