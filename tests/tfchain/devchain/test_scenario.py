"""The recorded life of the real chain, replayed: every outcome, fee, event and read has to be the same."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.shared import report_count, vectors
from tests.tfchain.devchain.driver import Driver, person

COMPARED = ("TfgridModule", "SmartContractModule", "Utility", "TFKVStore")
"""Pallets whose events are in the recording."""
ELAPSED = {
    "timestamp", "created", "lock_updated", "last_updated", "amount_billed", "discount_level", "amount_locked",
    "frozen",
}  # fmt: skip
"""Fields that depend on the clock or on elapsed seconds."""


def test_the_recorded_scenario_comes_out_the_same(driver: Driver) -> None:
    scenario = vectors("tfchain")["scenario"]
    rows = scenario.get("rows") or scenario["steps"]
    changed = {difference.get("step"): difference for difference in scenario["differences_149"]}
    inserted = {difference.get("after_step"): difference for difference in scenario["differences_149"]}
    hints = iter((0, -1000))
    compared = 0
    wrong: list[str] = []
    for row in rows:
        seen = _run(driver, row, hints)
        expected = _expected(row, changed.get(row["step"]))
        if _masked(seen) != _masked(expected):
            wrong.append(f"step {row['step']}: {row}\n   seen {seen}\n   expected {expected}")
        compared += 1
        if row["step"] in inserted:
            outcome = driver.call(person("//Charlie"), "SmartContractModule.cancel_contract", contract_id=3)
            assert outcome.of("SmartContractModule")[-1] == [
                "SmartContractModule.RentContractCanceled",
                {"contract_id": 3},
            ]
    report_count("tfchain scenario", compared)
    assert not wrong, "\n".join(wrong)


def _run(driver: Driver, row: dict[str, Any], hints: Iterator[int]) -> dict[str, Any]:
    if "read" in row:
        return {"value": driver.read(row["read"], *row["args"])}
    arguments = dict(row["args"])
    now = driver.read("Timestamp.Now") // 1000
    if row["call"].endswith("report_uptime_v2"):
        arguments["timestamp_hint"] = now + next(hints)
    if row["call"].endswith("add_nru_reports"):
        arguments["reports"] = [{**report, "timestamp": now + 600} for report in arguments["reports"]]
    if "bill" in row["call"] or "cancel" in row["call"]:
        driver.chain.clock_offset_ms += 30_000
    outcome = driver.call(person(row["signer"]), row["call"], **arguments)
    return {
        "ok": outcome.ok,
        "error": outcome.error,
        "fee": outcome.fee,
        "events": outcome.of(*COMPARED),
    }


def _expected(row: dict[str, Any], difference: dict[str, Any] | None) -> dict[str, Any]:
    if "read" in row:
        return {"value": row["value"] if difference is None else difference["expect"]}
    expected = {key: row[key] for key in ("ok", "error", "fee", "events")}
    if difference is None:
        return expected
    if difference["expect"].startswith("error "):
        return expected | {"ok": False, "error": difference["expect"].split()[1].rstrip(","), "events": []}
    contract = {
        "version": 4,
        "state": "Created",
        "contract_id": 3,
        "twin_id": 3,
        "contract_type": {"RentContract": {"node_id": 1}},
        "solution_provider_id": None,
    }
    created = [["SmartContractModule.ContractCreated", contract]]
    return expected | {"ok": True, "error": None, "events": created}


def _masked(value: Any) -> Any:
    """Without what depends on the clock."""

    def mask(each: Any, key: str | None = None) -> Any:
        if key in ELAPSED:
            return "…"
        if isinstance(each, dict):
            if set(each) == {"Down"} and isinstance(each["Down"], int):
                return "Down at a block"
            return {name: mask(inner, name) for name, inner in each.items()}
        if isinstance(each, list | tuple):
            if each[:1] == ["TfgridModule.NodeUptimeReported"]:
                return [each[0], [each[1][0], "…", each[1][2]]]
            if each[:1] == ["SmartContractModule.TokensBurned"]:
                return [each[0], {**each[1], "amount": "…"}]
            if each and isinstance(each[0], dict) and "reasons" in each[0]:
                return [{**lock, "amount": "…"} for lock in each]
            return [mask(inner) for inner in each]
        return each

    return mask(value)
