"""Parts of the API that need no daemon: redaction, results of measurements, health."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from tests.faults.workloads import every_type
from zosd.api import diagnostics
from zosd.api.diagnostics import Diagnostics, healthy
from zosd.api.perf import MOST_BYTES, Results
from zosd.api.redaction import HIDDEN, redacted
from zosd.clock import SystemClock


def test_no_secret_of_any_type_is_shown() -> None:
    for workload in every_type():
        text = json.dumps(redacted(json.loads(bytes(workload.data))))
        for secret in ("a2tra2", "5b" * 32, '"p"'):
            assert secret not in text, workload.type


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        ({"env": {"TOKEN": "x", "EMPTY": ""}}, {"env": {"TOKEN": HIDDEN, "EMPTY": ""}}),
        ({"Password": "x", "password": ""}, {"Password": HIDDEN, "password": ""}),
        ({"a": [{"key": "k", "public_key": "p"}]}, {"a": [{"key": HIDDEN, "public_key": "p"}]}),
        ({"key": {"key": "k", "algorithm": "AES"}}, {"key": {"key": HIDDEN, "algorithm": "AES"}}),
        ("redis://user:word@host/1", f"redis://{HIDDEN}@host/1"),
        ({"output": "https://host/path@2"}, {"output": "https://host/path@2"}),
        (7, 7),
        (None, None),
    ],
)
def test_what_is_hidden_and_what_is_not(data: object, shown: object) -> None:
    assert redacted(data) == shown


def test_results_are_kept_whole_and_by_name(tmp_path: Path) -> None:
    results = Results(tmp_path / "perf", SystemClock())
    assert results.all() == []
    results.put("iperf", "speed", [1, 2])
    results.put("healthcheck", "health", {"cache": [], "network": []})
    assert [one["name"] for one in results.all()] == ["healthcheck", "iperf"]
    assert set(results.all()[1]) == {"name", "description", "timestamp", "result"}
    # A run that fails puts nothing, so the last good result stays.
    with pytest.raises(ValueError, match=f"the limit is {MOST_BYTES}"):
        results.put("iperf", "speed", "x" * MOST_BYTES)
    kept = results.get("iperf")
    assert kept is not None
    assert kept["result"] == [1, 2]
    for name in ("../secret", "", "A", "a/b", "x" * 65):
        assert results.get(name) is None
        with pytest.raises(ValueError, match="use small letters"):
            results.put(name, "", 1)
    (tmp_path / "perf" / "broken.json").write_text("{")
    assert len(results.all()) == 2


@pytest.mark.parametrize(
    ("result", "is_healthy"),
    [
        (None, False),
        ({"cache": [], "network": []}, True),
        ({"cache": ["read-only"], "network": []}, False),
        ([], False),
    ],
)
def test_healthy_means_looked_at_and_nothing_found(result: object, is_healthy: bool) -> None:
    assert healthy(None if result is None else {"result": result}) is is_healthy


async def test_a_part_that_is_not_well_is_named_without_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diagnostics, "LIMIT", 0.05)

    async def good() -> None:
        """Well."""

    async def bad() -> None:
        raise OSError("bridge is gone")

    async def hangs() -> None:
        await asyncio.Event().wait()

    probes = {"storage": good, "network": bad, "vmd": hangs}
    state = Diagnostics(probes, Results(tmp_path, SystemClock()), SystemClock())
    told = await state.diagnostics(None)  # type: ignore[arg-type]
    assert told["system_status_ok"] is False
    assert told["modules"]["network"]["error_text"] == "OSError: bridge is gone"
    assert "no answer within" in told["modules"]["vmd"]["error_text"]
    assert told["modules"]["storage"]["status"]["objects"][0]["Name"] == "storage"
    assert not any("error" in module for module in told["modules"].values())
