"""Whole deployments give the same bytes, hash, ids, capacity and verdict as the Go packages."""

from __future__ import annotations

from typing import Any

import pytest

from gridtypes import (
    DecodeError,
    Deployment,
    InvalidDeployment,
    InvalidName,
    WorkloadId,
    network_id,
)
from tests.gridtypes.golden import raw, same_error, section
from tests.shared import report_count


def error_of(act: Any) -> Exception | None:
    try:
        act()
    except (DecodeError, InvalidDeployment) as error:
        return error
    return None


def compare_verdict(entry: dict[str, Any], key: str, got: Exception | None) -> None:
    expected = entry.get(f"{key}_error")
    if entry.get(f"{key}_panic"):
        assert got is not None, f"{key}: Go panics here, so it has to be refused"
    elif expected is None:
        assert got is None, f"{key}: {got}"
    else:
        assert got is not None, f"{key}: should be refused with {expected}"
        same_error(entry, expected, got)


def compare_deployment(entry: dict[str, Any]) -> None:
    json = raw(entry, "json")
    if entry["decode_error"] is not None:
        with pytest.raises(DecodeError):
            Deployment.from_json(json)
        return
    deployment = Deployment.from_json(json)
    assert deployment.to_json() == raw(entry, "reencoded")
    assert deployment.is_active() is entry["is_active"]
    compare_verdict(entry, "challenge", error_of(deployment.challenge))
    compare_verdict(entry, "valid", error_of(deployment.check))
    if "challenge_hex" in entry and entry["challenge_hex"] is not None:
        assert deployment.challenge().hex() == entry["challenge_hex"]
        assert deployment.challenge_hash().hex() == entry["md5_hex"]
    assert len(deployment.workloads) == len(entry["workloads"])
    for workload, expected in zip(deployment.workloads, entry["workloads"], strict=True):
        compare_workload(entry, deployment, workload, expected)
    if entry.get("capacity_total") is not None:
        assert capacity_of(deployment.capacity()) == entry["capacity_total"]


def compare_workload(
    entry: dict[str, Any], deployment: Deployment, workload: Any, expected: dict[str, Any]
) -> None:
    assert (workload.name, workload.type) == (expected["name"], expected["type"])
    plain = WorkloadId(deployment.twin_id, deployment.contract_id, workload.name)
    if expected["workload_id_error"] is None:
        assert str(deployment.workload_id(workload.name)) == expected["workload_id"]
    else:
        with pytest.raises(InvalidName) as caught:
            deployment.workload_id(workload.name)
        assert str(caught.value) == expected["workload_id_error"]
    for n, unique in (expected["unique"] or {}).items():
        assert plain.unique(n) == unique
    assert network_id(deployment.twin_id, workload.name) == expected["network_id"]
    assert workload.type.sharable is expected["sharable"]
    assert workload.result.is_nil is expected["result_is_nil"]
    verdict = expected | {"varies_with_go_version": entry.get("varies_with_go_version")}
    compare_verdict(verdict, "challenge", error_of(workload.challenge))
    compare_verdict(verdict, "capacity", error_of(workload.capacity))
    if expected.get("challenge_hex") is not None:
        assert workload.challenge().hex() == expected["challenge_hex"]
        assert capacity_of(workload.capacity()) == expected["capacity"]
        assert workload.load().to_json().decode() == expected["data_reencoded"]


def capacity_of(capacity: Any) -> dict[str, int]:
    return {key: getattr(capacity, key) for key in ("cru", "sru", "hru", "mru", "ipv4u")}


def test_every_deployment_agrees() -> None:
    entries = section("deployments")
    for entry in entries:
        try:
            compare_deployment(entry)
        except AssertionError as error:
            raise AssertionError(f"{entry['id']} ({entry['title']}): {error}") from error
    report_count("gridtypes deployments", len(entries))
