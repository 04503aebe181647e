"""Each thing that is wrong has an answer of its own; nothing is stored, nothing is made, neighbours run on."""

from __future__ import annotations

from dataclasses import replace

import pytest

import rmb
from client import workloads
from client.errors import CheckFailed, DeployFailed
from client.grid_client import GridClient
from client.node_client import NodeClient
from gridtypes import (
    ContractId,
    Deployment,
    NodeId,
    ResultState,
    SignatureRequest,
    SignatureRequirement,
    Workload,
)
from tests.grid.conftest import User, gone_from
from tests.grid.files import IMAGE, one_node

pytestmark = [pytest.mark.root, pytest.mark.timeout(300)]

MIB = 1 << 20


def _deployment(client: GridClient, *made: Workload) -> Deployment:
    return Deployment(
        twin_id=client.twin,
        workloads=list(made),
        signature_requirement=SignatureRequirement(
            weight_required=1, requests=[SignatureRequest(client.twin, True, 1)]
        ),
    )


async def _contract(client: GridClient, deployment: Deployment, node: int = 1) -> Deployment:
    contract = await client.chain.create_node_contract(
        client.key, NodeId(node), deployment.challenge_hash().hex(), b"{}"
    )
    return replace(deployment, contract_id=contract)


async def _refusal(node: NodeClient, deployment: Deployment) -> str:
    with pytest.raises(rmb.RemoteError) as refused:
        await node.deployment_deploy(deployment)
    return str(refused.value)


async def _contracts_on(node: NodeClient) -> set[ContractId]:
    return {one.contract_id for one in await node.deployment_list()}


def test_a_deployment_that_is_wrong_is_refused_with_its_reason(user: User) -> None:
    async def work(client: GridClient) -> None:
        node = await client.node(1)
        wanted = await _contract(client, _deployment(client, workloads.zmount("d", size=MIB)))
        signed = wanted.sign(client.twin, client.key)

        assert "missing required signature" in await _refusal(node, wanted)
        foreign = replace(signed, twin_id=client.twin + 1)
        assert "twin id mismatch" in await _refusal(node, foreign)
        changed = replace(wanted, description="changed").sign(client.twin, client.key)
        assert "contract hash does not match deployment hash" in await _refusal(node, changed)
        other = await client.node(2)
        assert "invalid node address in contract" in await _refusal(other, signed)
        twice = _deployment(client, workloads.zmount("d", size=MIB), workloads.zmount("d", size=MIB))
        assert "multiple workloads with the same name" in await _refusal(
            node, twice.sign(client.twin, client.key)
        )

        await node.deployment_deploy(signed)
        await node.deployment_deploy(signed)  # the same again is a retry, not an error
        assert await _contracts_on(node) == {wanted.contract_id}
        await client.chain.cancel_contract(client.key, wanted.contract_id)
        await gone_from(node)
        gone = replace(signed, contract_id=ContractId(wanted.contract_id))
        fresh = replace(_deployment(client, workloads.zmount("e", size=MIB)), contract_id=gone.contract_id)
        assert str(wanted.contract_id) in await _refusal(node, fresh.sign(client.twin, client.key))

    user.run(work)


def test_more_than_the_node_has_is_refused_before_and_at_accept(user: User) -> None:
    async def work(client: GridClient) -> None:
        node = await client.node(1)
        huge = await _contract(client, _deployment(client, workloads.zmount("d", size=1 << 50)))
        text = await _refusal(node, huge.sign(client.twin, client.key))
        assert "required" in text or "space" in text, text
        assert await _contracts_on(node) == set()
        await client.chain.cancel_contract(client.key, huge.contract_id)
        too_much = one_node("toomuch", machine=False)
        part = too_much.workloads[0].model_copy(update={"size": 1 << 50})
        file = too_much.model_copy(update={"workloads": [part]})
        with pytest.raises(CheckFailed, match="SSD"):
            await client.deploy(file)

    user.run(work)


def test_a_missing_image_says_so_and_its_neighbours_are_well_until_undone(user: User) -> None:
    async def work(client: GridClient) -> None:
        file = one_node("noimage")
        machine = file.machines[0].model_copy(update={"image": IMAGE + ".missing"})
        file = file.model_copy(update={"workloads": [*file.workloads[:2], machine]})
        with pytest.raises(DeployFailed, match=r"(?i)image not found.*404") as failed:
            await client.deploy(file)
        assert failed.value.undone, "the contract is cancelled and said so"
        assert not failed.value.left

    user.run(work)


def test_a_taken_port_and_an_address_outside_are_told_in_the_result(user: User) -> None:
    async def work(client: GridClient) -> None:
        node = await client.node(1)
        await client.deploy(one_node("first"))
        (placed,) = await client.find("first")
        assert placed.deployment is not None
        taken = placed.deployment.find("netfirst")
        assert taken is not None
        data = taken.load()
        other = workloads.network(
            "second",
            ip_range="10.77.0.0/16",
            subnet="10.77.2.0/24",
            wireguard_private_key=data.wireguard_private_key,  # type: ignore[union-attr]
            wireguard_listen_port=data.wireguard_listen_port,  # type: ignore[union-attr]
        )
        wanted = await _contract(client, _deployment(client, other, workloads.zmount("d", size=MIB)))
        await node.deployment_deploy(wanted.sign(client.twin, client.key))
        states = {}
        async for change in client.watch(1, wanted.contract_id):
            states[change.name] = change.result
            found = {name: result.state for name, result in states.items()}
            if found == {"second": ResultState.ERROR, "d": ResultState.OK}:
                break
        assert "port already in use" in states["second"].message
        (again,) = await client.find("first")
        assert again.deployment is not None
        assert all(one.result.state is ResultState.OK for one in again.deployment.workloads)
        await client.chain.cancel_contract(client.key, wanted.contract_id)
        await client.cancel("first")

    user.run(work)
