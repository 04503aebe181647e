"""The steps from one version of a deployment to the next agree with the Go packages."""

from __future__ import annotations

from typing import Any

import pytest

from gridtypes import Deployment, InvalidName, UpgradeError, UpgradeOp, check_name
from tests.gridtypes.golden import raw, section
from tests.shared import report_count


def recorded_id(op: UpgradeOp) -> str:
    """Go makes no id of an invalid name; ours has one, so that such a workload can be removed."""
    try:
        check_name(op.workload.name)
    except InvalidName:
        return ""
    return str(op.id)


def as_recorded(op: UpgradeOp) -> dict[str, Any]:
    return {
        "op": op.op,
        "op_code": op.code,
        "id": recorded_id(op),
        "name": op.workload.name,
        "type": op.workload.type,
        "version": op.workload.version,
        "result_state": op.workload.result.state,
    }


def compare_upgrade(entry: dict[str, Any]) -> None:
    old, new = Deployment.from_json(raw(entry, "old")), Deployment.from_json(raw(entry, "new"))
    if entry["error"] is not None:
        with pytest.raises(UpgradeError) as caught:
            old.upgrade(new)
        assert str(caught.value) == entry["error"]
        return
    ops = [as_recorded(op) for op in old.upgrade(new)]
    removes = sorted((op for op in ops if op["op"] == "remove"), key=lambda op: op["name"])
    assert [op for op in ops if op["op"] != "remove"] == entry["adds_and_updates_in_order"]
    assert removes == entry["removes_sorted_by_name"]
    assert old.carried_to(new).to_json() == raw(entry, "new_after")


def test_every_upgrade_agrees() -> None:
    entries = section("upgrades")
    for entry in entries:
        try:
            compare_upgrade(entry)
        except AssertionError as error:
            raise AssertionError(f"{entry['id']} ({entry['title']}): {error}") from error
    report_count("gridtypes upgrades", len(entries))


def test_a_step_carries_the_old_result_and_leaves_its_inputs_alone() -> None:
    old = Deployment.from_json(
        '{"workloads":[{"name":"a","type":"ipv4","data":{},"result":{"created":7,"state":"ok"}}]}'
    )
    new = Deployment.from_json('{"version":1,"workloads":[{"version":1,"name":"a","type":"ipv4","data":{}}]}')
    before = new.to_json()
    (step,) = old.upgrade(new)
    assert step.op == "update"
    assert step.workload.result.created == 7
    assert new.to_json() == before
