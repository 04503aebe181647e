"""Detox policies decide as recorded, always the same, and change nothing but their image."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from dynamo.dataformat import ConfigurationError
from dynamo.detox.cycle import Blocks, Cycle, Outcome
from dynamo.detox.image import private_image
from dynamo.detox.policy import DetoxPolicy, Verdict
from dynamo.policy.sortkey import SortKey

from tests.dynamo.policy.recorded_inventory import build, dataset_replicas
from tests.dynamo.snapshot import snapshot
from tests.shared import report_count, vectors

ATTRIBUTES = ("global_usage_rank",)


def _named(blocks: Blocks) -> dict[str, dict[str, list[str]]]:
    return {
        f"{place.site}:{place.dataset}": {str(rule): names for rule, names in rules.items()}
        for place, rules in blocks.items()
    }


def _described(outcome: Outcome) -> dict[str, Any]:
    return {
        "deleted": _named(outcome.deleted),
        "kept": _named(outcome.kept),
        "protected": _named(outcome.protected),
        "reowned": {f"{place.site}:{place.dataset}": names for place, names in outcome.reowned.items()},
        "growing_after": {
            f"{place.site}:{place.dataset}": growing for place, growing in outcome.growing_after.items()
        },
    }


def _verdict(verdict: Verdict) -> list[Any]:
    number = None if verdict.rule.condition is None else verdict.rule.number - 1
    blocks = [] if verdict.whole else [[member.block.name for member in verdict.blocks]]
    return [verdict.action, number, *blocks]


def test_policies_decide_as_recorded() -> None:
    policy = vectors("inventory")["policy"]
    for case in policy["policies"]:
        if "error" in case:
            with pytest.raises(ConfigurationError):
                DetoxPolicy(case["text"])
            continue
        inventory = build(policy["inventory_spec"])
        before = snapshot(inventory)
        found = DetoxPolicy(case["text"], ATTRIBUTES)
        parsed = case["parsed"]
        assert found.partition == parsed["partition"]
        assert found.default.action == parsed["default"]
        assert found.iterative == parsed["iterative"]
        assert [[rule.action, rule.condition.text] for rule in found.rules if rule.condition] == parsed[
            "lines"
        ]
        for name, replica in dataset_replicas(inventory).items():
            if name in case["evaluate"]:
                assert [_verdict(verdict) for verdict in found.evaluate(replica)] == case["evaluate"][name], (
                    name
                )
        cycle = Cycle(found, private_image(inventory, found.partition))
        assert sorted(share.site.name for share in cycle.targets) == case["partition_sites"]
        outcome = _described(cycle.run())
        accepted = case.get("accepted_results") or [{key: case[key] for key in outcome}]
        assert outcome in accepted, case["name"]
        assert snapshot(inventory) == before
    report_count("policies", len(policy["policies"]))


def test_replicas_are_sorted_as_recorded() -> None:
    policy = vectors("inventory")["policy"]
    replicas = dataset_replicas(build(policy["inventory_spec"]))
    for case in policy["sort_keys"]:
        if "error" in case:
            with pytest.raises(ConfigurationError):
                SortKey(case["order"])
            continue
        key = SortKey(case["order"])
        assert (len(key.variables), key.required_attrs) == (case["vars"], case["required_attrs"])
        for name, wanted in case["keys"].items():
            ordered = [sorted(value) if isinstance(value, list) else value for value in wanted]
            assert key.key(replicas[name]) == ordered, (case["order"], name)
    report_count("sort keys", len(policy["sort_keys"]))


def test_w20_the_same_image_gives_the_same_decisions_whatever_the_hash_seed() -> None:
    program = (
        "import json\n"
        "from tests.dynamo.policy.test_detox import decisions\n"
        "print(json.dumps(decisions(), sort_keys=True))\n"
    )
    answers = set()
    for seed in ("0", "1", "42"):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[3],
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        answers.add(done.stdout)
    assert len(answers) == 1
    assert json.loads(answers.pop())


def decisions() -> list[Any]:
    """What all recorded policies decide."""
    policy = vectors("inventory")["policy"]
    found = []
    for case in policy["policies"]:
        if "error" not in case:
            detox = DetoxPolicy(case["text"], ATTRIBUTES)
            image = private_image(build(policy["inventory_spec"]), detox.partition)
            found.append(_described(Cycle(detox, image).run()))
    return found


def test_a_policy_without_order_or_with_a_bad_line_is_refused_with_its_number() -> None:
    head = "Partition All\nOn always\nWhen never\nUntil always\nDismiss\n"
    with pytest.raises(ConfigurationError, match="Order missing"):
        DetoxPolicy(head)
    with pytest.raises(ConfigurationError, match=r"Line 6: .*Unknown variable dataset.colour"):
        DetoxPolicy(f"{head}Protect dataset.colour == red\nOrder none\n")
    with pytest.raises(ConfigurationError, match="Nothing fills in the attributes global_usage_rank"):
        DetoxPolicy(f"{head}Protect dataset.usage_rank > 3\nOrder none\n")
