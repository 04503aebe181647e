"""What users reported about deployments."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gridtypes import Deployment, InvalidDeployment
from tests.shared import cases, report_count


def compare(deployment: Any, expected: dict[str, Any]) -> None:
    decoded = Deployment.from_json(json.dumps(deployment))
    assert decoded.challenge_hash().hex() == expected["challenge_md5"]
    if expected["valid_error"] is None:
        decoded.check()
    else:
        with pytest.raises(InvalidDeployment) as caught:
            decoded.check()
        assert str(caught.value) == expected["valid_error"]
    for resource, amount in expected.get("capacity", {}).items():
        assert getattr(decoded.capacity(), resource) == amount


@pytest.mark.parametrize("number", ["B002", "B006", "B063"])
def test_one_deployment(number: str) -> None:
    case = cases(number)
    compare(case["input"]["deployment"], case["expected"])
    report_count(f"case {number}", 1)


@pytest.mark.parametrize("number", ["B003", "B007", "B008"])
def test_several_deployments(number: str) -> None:
    case = cases(number)
    for name, deployment in case["input"]["deployments"].items():
        compare(deployment, case["expected"][name])
    report_count(f"case {number}", len(case["input"]["deployments"]))


@pytest.mark.parametrize("change", ["grow", "shrink"])
def test_both_changes_of_a_disk_are_updates(change: str) -> None:
    case = cases("B010")
    old = Deployment.from_json(json.dumps(case["input"]["old"]))
    new = Deployment.from_json(json.dumps(case["input"][change]))
    steps = [[step.op, step.workload.name] for step in old.upgrade(new)]
    assert steps == case["expected"][change]["ops"]
    report_count("case B010", 1)
