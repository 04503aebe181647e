"""Null provisioners keep the protocol, and say that nothing is real."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gridtypes import ContractId, Name, TwinId, Workload, WorkloadId, WorkloadType, result_json
from gridtypes.results import RESULT_MODELS
from provisioners.null import NOTICE, null_provisioners
from provisioners.protocol import NodePaths, PlacedWorkload

DATA = {
    WorkloadType.ZMACHINE: '{"network":{"interfaces":[{"network":"n","ip":"10.1.2.5"}]}}',
    WorkloadType.ZMACHINE_LIGHT: '{"network":{"interfaces":[{"network":"n","ip":"10.1.2.5"}]}}',
    WorkloadType.GATEWAY_NAME_PROXY: '{"name":"shop","backends":[]}',
    WorkloadType.IP: '{"v4":true,"v6":true}',
}


def placed(type: WorkloadType, version: int = 0) -> PlacedWorkload:
    id = WorkloadId(TwinId(26), ContractId(1000), Name("w"))
    workload = Workload(version=version, name=id.name, type=type, data=DATA.get(type, "{}").encode())
    return PlacedWorkload(id, workload)


@pytest.fixture
def ctx(tmp_path: Path) -> Any:
    return SimpleNamespace(paths=NodePaths(tmp_path, tmp_path, tmp_path / "run", tmp_path))


def test_there_is_one_for_each_of_the_thirteen_types() -> None:
    provisioners = null_provisioners()
    assert set(provisioners) == set(WorkloadType)
    for type, provisioner in provisioners.items():
        assert provisioner.type is type
        assert getattr(provisioner, "notice", "") == NOTICE
        assert hasattr(provisioner, "update") is type.updatable


@pytest.mark.parametrize("type", list(WorkloadType))
async def test_every_verb_is_safe_to_repeat(type: WorkloadType, ctx: Any) -> None:
    provisioner = null_provisioners()[type]
    workload = placed(type)
    assert await provisioner.recover(ctx, workload) is None
    assert await provisioner.inventory(ctx) == set()
    data = await provisioner.provision(ctx, workload)
    assert await provisioner.provision(ctx, workload) == data
    assert await provisioner.recover(ctx, workload) == data
    assert await provisioner.inventory(ctx) == {workload.id}
    if type in RESULT_MODELS:
        assert isinstance(data, RESULT_MODELS[type])
    else:
        assert result_json(data) == b"null"
    if (update := getattr(provisioner, "update", None)) is not None:
        assert await update(ctx, workload, placed(type, 1)) == data
    for verb in ("pause", "resume"):
        if (act := getattr(provisioner, verb, None)) is not None:
            await act(ctx, workload.id)
            await act(ctx, workload.id)
    await provisioner.deprovision(ctx, workload.id)
    await provisioner.deprovision(ctx, workload.id)
    assert await provisioner.inventory(ctx) == set()


async def test_result_data_are_plausible(ctx: Any) -> None:
    provisioners = null_provisioners()

    async def data(type: WorkloadType) -> Any:
        return await provisioners[type].provision(ctx, placed(type))

    assert (await data(WorkloadType.ZMACHINE)).ip == "10.1.2.5"
    assert (await data(WorkloadType.ZMOUNT)).volume_id == "26-1000-w"
    address = await data(WorkloadType.IP)
    assert address.ip.startswith("192.0.2.")
    assert address.ip6
    assert address.gateway == "192.0.2.1"
    assert (await data(WorkloadType.GATEWAY_NAME_PROXY)).fqdn == "shop.null.invalid"
    assert (await data(WorkloadType.ZDB)).port == 9900
