"""Decoding says where and what is wrong, and models cannot be changed or built wrongly."""

from __future__ import annotations

import dataclasses

import pytest

from gridtypes import DecodeError, Deployment, InvalidData, InvalidDeployment, Workload, WorkloadType
from gridtypes.kinds import ABSENT
from gridtypes.workloads import Network, ZMachine, ZMount


@pytest.mark.parametrize(
    ("json", "path", "value"),
    [
        ('{"twin_id":"5"}', "twin_id", '"5"'),
        ('{"workloads":[{},{"version":-1}]}', "workloads[1].version", "-1"),
        (
            '{"signature_requirement":{"requests":[{"weight":1.0}]}}',
            "signature_requirement.requests[0].weight",
            "1.0",
        ),
        ('{"expiration":"soon"}', "expiration", '"soon"'),
        ('{"workloads":{}}', "workloads", "{}"),
    ],
)
def test_an_error_names_path_and_value(json: str, path: str, value: str) -> None:
    with pytest.raises(DecodeError) as caught:
        Deployment.from_json(json)
    assert caught.value.path == path
    assert caught.value.value == value
    assert str(caught.value).startswith(f"{path}: ")
    assert value in str(caught.value)


def test_the_first_value_of_a_wrong_type_is_named() -> None:
    with pytest.raises(DecodeError, match=r"^version: "):
        Deployment.from_json('{"version":"a","twin_id":"b"}')


def test_an_unreadable_text_is_reported_instead_of_a_wrong_type() -> None:
    workload = Workload(type=WorkloadType.NETWORK, data=b'{"peers":5,"subnet":"x"}')
    with pytest.raises(InvalidData, match="invalid CIDR address: x") as caught:
        workload.load()
    assert caught.value.path == "data.subnet"


def test_data_that_are_null_are_refused() -> None:
    with pytest.raises(InvalidData, match="null is not an object"):
        Workload(type=WorkloadType.ZMOUNT, data=b"null").load()


def test_a_wrong_field_of_data_names_path_and_value() -> None:
    with pytest.raises(InvalidData) as caught:
        Workload(type=WorkloadType.ZMOUNT, data=b'{"size":1.5}').load()
    assert str(caught.value) == (
        "failed to load data into object of type '*zos.ZMount': data.size: 1.5 is not an unsigned integer of 64 bits"
    )


def test_an_unknown_type_is_kept_and_refused_only_when_it_matters() -> None:
    deployment = Deployment.from_json('{"workloads":[{"name":"a","type":"nope"}]}')
    assert deployment.workloads[0].type == "nope"
    assert not deployment.workloads[0].type.known
    with pytest.raises(InvalidDeployment, match="invalid reservation type 'nope'"):
        deployment.check()


def test_models_are_frozen() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Deployment().version = 1  # type: ignore[misc]  # that it cannot be done is the point


def test_lists_become_tuples_and_null_is_told_from_empty() -> None:
    assert Deployment().workloads is ABSENT
    assert b'"workloads":null' in Deployment().to_json()
    assert b'"workloads":[]' in Deployment(workloads=[]).to_json()


@pytest.mark.parametrize(
    "build",
    [
        lambda: Deployment(version=-1),
        lambda: Deployment(version=1 << 32),
        lambda: ZMount(size=1.5),  # type: ignore[arg-type]  # what an untyped program would do
        lambda: Workload(name=5),  # type: ignore[arg-type]  # as above
        lambda: Workload(data=b"{"),
        lambda: Deployment(workloads=["x"]),  # type: ignore[list-item]  # as above
    ],
)
def test_a_model_cannot_be_built_wrongly(build: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        build()  # type: ignore[operator]  # parametrised functions are objects to mypy


def test_typed_data_give_their_type() -> None:
    workload = Workload.build("disk", ZMount(size=10), metadata="m")
    assert workload.type is WorkloadType.ZMOUNT
    assert workload.load() == ZMount(size=10)
    assert workload.with_data(ZMount(size=20), version=3).load() == ZMount(size=20)


def test_other_data_are_not_answered_from_memory() -> None:
    workload = Workload.build("disk", ZMount(size=10))
    workload.load()
    assert dataclasses.replace(workload, data=b'{"size":11}').load() == ZMount(size=11)


def test_environment_is_a_frozen_map_sorted_by_bytes() -> None:
    machine = ZMachine(env={"b": "2", "a": "1"})  # type: ignore[arg-type]  # any mapping is taken
    assert list(machine.env) == ["a", "b"]
    with pytest.raises(TypeError):
        machine.env["c"] = "3"  # type: ignore[index]  # that it cannot be done is the point


def test_look_ups_give_the_texts_of_every_node() -> None:
    deployment = Deployment(workloads=[Workload.build("net", Network())])
    assert deployment.get("net").name == "net"
    with pytest.raises(InvalidDeployment, match=r"^no workload with name 'x': workload not found$"):
        deployment.get("x")
    with pytest.raises(InvalidDeployment, match=r"^workload 'net' of wrong type$"):
        deployment.get_typed("net", WorkloadType.ZMOUNT)
    assert deployment.find("no-name") is None
    assert [one.name for one in deployment.shareables()] == ["net"]


def test_a_failed_deployment_keeps_time_and_data_of_its_results() -> None:
    deployment = Deployment.from_json(
        '{"workloads":[{"name":"a","result":{"created":5,"state":"ok","data":{"x":1}}}]}'
    )
    (workload,) = deployment.failed("no contract").workloads
    assert (workload.result.state, workload.result.message) == ("error", "no contract")
    assert (workload.result.created, workload.result.data) == (5, b'{"x":1}')
    assert not deployment.failed("no contract").is_active()


def test_a_result_has_to_be_one() -> None:
    with pytest.raises(TypeError, match="is not a Result"):
        Workload(type=WorkloadType.ZMOUNT, data=b'{"size":1}').with_result("ok")  # type: ignore[arg-type]  # on purpose
