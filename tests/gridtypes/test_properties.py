"""What holds for every deployment."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridtypes import ContractId, DecodeError, Deployment, InvalidDeployment, Result
from tests.gridtypes.strategies import deployments, requirements, results, u64

# Building whole deployments is slow to generate, not slow to test.
relaxed = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@relaxed
@given(deployments)
def test_encoding_and_decoding_lose_nothing(deployment: Deployment) -> None:
    again = Deployment.from_json(deployment.to_json())
    assert again.to_json() == deployment.to_json()
    assert again.challenge() == deployment.challenge()


@relaxed
@given(deployments)
def test_python_reads_the_same_values(deployment: Deployment) -> None:
    plain = json.loads(deployment.to_json())
    assert plain["contract_id"] == deployment.contract_id
    assert [one["name"] for one in plain["workloads"]] == [one.name for one in deployment.workloads]


@relaxed
@given(deployments, results, u64, requirements)
def test_the_hash_depends_on_neither_results_nor_contract_nor_signatures(
    deployment: Deployment, result: Result, contract: int, other: Any
) -> None:
    changed = replace(
        deployment,
        contract_id=ContractId(contract),
        workloads=[workload.with_result(result) for workload in deployment.workloads],
        signature_requirement=replace(deployment.signature_requirement, signatures=other.signatures),
    )
    assert changed.challenge_hash() == deployment.challenge_hash()


@relaxed
@given(deployments, results)
def test_a_result_changes_nothing_else_and_nothing_is_decoded_again(
    deployment: Deployment, result: Result
) -> None:
    for workload in deployment.workloads:
        with suppress(InvalidDeployment):
            workload.load()
        changed = workload.with_result(result)
        assert changed == replace(workload, result=result)
        with suppress(InvalidDeployment):
            assert changed.load() is workload.load()


@relaxed
@given(deployments, st.randoms(use_true_random=False))
def test_the_hash_depends_on_neither_order_nor_spelling_of_keys(deployment: Deployment, random: Any) -> None:
    def shuffled(value: Any, in_map: bool = False) -> Any:
        if isinstance(value, list):
            return [shuffled(item) for item in value]
        if not isinstance(value, dict):
            return value
        pairs = [
            (key if in_map else random.choice([key, key.upper(), key.title()]), shuffled(item, key == "env"))
            for key, item in value.items()
        ]
        random.shuffle(pairs)
        return dict(pairs)

    text = json.dumps(shuffled(json.loads(deployment.to_json())), indent=random.choice([None, 2]))
    assert Deployment.from_json(text).challenge() == deployment.challenge()


@relaxed
@given(deployments)
def test_checks_end_in_a_verdict(deployment: Deployment) -> None:
    for act in (deployment.check, deployment.capacity, deployment.challenge_hash):
        with suppress(InvalidDeployment):
            act()


@relaxed
@given(deployments, st.data())
def test_damaged_texts_end_in_a_verdict(deployment: Deployment, data: Any) -> None:
    raw = bytearray(deployment.to_json())
    for _ in range(data.draw(st.integers(1, 4))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    with suppress(DecodeError, InvalidDeployment):
        Deployment.from_json(bytes(raw)).check()


@relaxed
@given(deployments, deployments)
def test_a_plan_names_every_workload_once(old: Deployment, new: Deployment) -> None:
    new = replace(
        new, version=(old.version + 1) % 2**32, twin_id=old.twin_id, contract_id=old.contract_id, workloads=[]
    )
    removed = [step.workload.name for step in old.upgrade(new)]
    assert sorted(removed) == sorted({one.name for one in old.workloads})
