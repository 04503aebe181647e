"""Deploy, change and cancel on a grid in memory; what fails half way is undone in reverse."""

from __future__ import annotations

import asyncio

import pytest

import rmb
from client import deployment_file, grid_client
from client.errors import CheckFailed, DeployFailed, NotFound
from client.events import Event
from client.grid_client import GridClient
from gridtypes import GIB, ResultState
from tests.client.fake_grid import FakeGrid, LostAnswer
from tests.client.files import disk, pair, two_disks
from tfchain import ChainUnavailable, DispatchError, OutcomeUnknown


async def test_deploy_makes_contracts_first_then_sends_then_follows(
    grid: FakeGrid, client: GridClient
) -> None:
    events: list[Event] = []
    placed = await client.deploy(pair(), events.append, timeout=5)
    assert grid.log == ["create 11 on 1", "create 12 on 2", "deploy 11 on 1", "deploy 12 on 2"]
    assert [(one.node, one.contract, one.name) for one in placed] == [(1, 11, "pair"), (2, 12, "pair")]
    assert all(one.deployment and one.deployment.is_active() for one in placed)
    kinds = [event.kind for event in events]
    assert kinds[:4] == ["contract", "contract", "accepted", "accepted"]
    assert {event.workload for event in events if event.state == "ok"} == {
        "lan",
        "data",
        "front",
        "vm1",
        "vm2",
    }


async def test_the_contract_reserves_the_public_addresses_that_are_wanted(
    grid: FakeGrid, client: GridClient
) -> None:
    await client.deploy(pair(), timeout=5)
    assert [one.node_contract.public_ips for one in grid.chain.held.values()] == [1, 0]


async def test_a_name_that_exists_is_refused_with_the_command_that_changes_it(client: GridClient) -> None:
    await client.deploy(disk(), timeout=5)
    with pytest.raises(CheckFailed, match="'disk' exists already: `zos update`"):
        await client.deploy(disk(), timeout=5)


async def test_a_node_that_does_not_answer_costs_nothing(grid: FakeGrid, client: GridClient) -> None:
    """Case B023."""
    grid.nodes[2].is_silent = True
    with pytest.raises(
        CheckFailed, match=r"node 2 \(twin 102\) does not answer over the bus: .*list_wg_ports"
    ):
        await client.deploy(pair(), timeout=5)
    assert grid.log == []


async def test_a_node_that_answers_nonsense_costs_nothing(grid: FakeGrid, client: GridClient) -> None:
    grid.nodes[2].ports = {"free": "all"}
    with pytest.raises(CheckFailed, match=r"node 2 .*the answer has another shape"):
        await client.deploy(pair(), timeout=5)
    assert grid.log == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda grid: setattr(grid.nodes[1], "free", GIB // 2),
            "node 1 has 0.5 GiB SSD free, 1.0 GiB are asked",
        ),
        (lambda grid: setattr(grid.nodes[1], "features", ["ip"]), "node 1 offers no zmount; it offers ip"),
        (lambda grid: setattr(grid.chain, "units", 10), "too little money for a contract"),
    ],
)
async def test_what_can_be_seen_before_is_refused_before(
    grid: FakeGrid, client: GridClient, change: object, message: str
) -> None:
    assert callable(change)
    change(grid)
    with pytest.raises(CheckFailed, match=message):
        await client.deploy(disk(), timeout=5)
    assert grid.log == []


async def test_a_node_that_is_not_on_the_chain_is_named(client: GridClient) -> None:
    text = "name: x\nworkloads: [{ name: d, type: zmount, node: 9, size: 1 }]"
    with pytest.raises(CheckFailed, match="there is no node 9 on this chain"):
        await client.deploy(deployment_file.parse(text))


async def test_two_labels_of_one_node_are_refused(client: GridClient) -> None:
    text = (
        "name: x\nnodes: { a: 1, b: 1 }\nworkloads: [{ name: d, type: zmount, node: a, size: 1 },"
        " { name: e, type: zmount, node: b, size: 1 }]"
    )
    with pytest.raises(CheckFailed, match="two labels name the same node"):
        await client.deploy(deployment_file.parse(text))


ANY = "name: x\nnodes: { a: any }\nworkloads: [{ name: d, type: zmount, node: a, size: 1 GiB }]"


async def test_any_node_means_the_next_one_when_one_is_full(grid: FakeGrid, client: GridClient) -> None:
    grid.nodes[1].free = 0
    for _ in range(5):
        (placed,) = await client.deploy(deployment_file.parse(ANY), timeout=5)
        assert placed.node == 2
        await client.cancel("x")


async def test_when_no_node_fits_each_says_why(grid: FakeGrid, client: GridClient) -> None:
    grid.nodes[1].free = grid.nodes[2].free = 0
    with pytest.raises(CheckFailed, match="no node is left for 'a'") as caught:
        await client.deploy(deployment_file.parse(ANY))
    assert len([reason for reason in caught.value.reasons if "SSD" in reason]) == 2
    assert grid.log == []


# -- undo ------------------------------------------------------------------------------------------------------


async def test_when_the_second_contract_fails_the_first_is_cancelled(
    grid: FakeGrid, client: GridClient
) -> None:
    grid.chain.fails["create", 2] = DispatchError("SmartContractModule", "FarmHasNotEnoughPublicIPs")
    with pytest.raises(DeployFailed, match="FarmHasNotEnoughPublicIPs") as caught:
        await client.deploy(pair(), timeout=5)
    assert grid.log == ["create 11 on 1", "cancel 11"]
    assert caught.value.undone == ["contract 11 on node 1"]
    assert caught.value.left == []


async def test_when_a_node_refuses_contracts_are_cancelled_in_reverse(
    grid: FakeGrid, client: GridClient
) -> None:
    grid.nodes[2].refuses = "not enough memory"
    with pytest.raises(DeployFailed, match="not enough memory") as caught:
        await client.deploy(pair(), timeout=5)
    assert grid.log[-2:] == ["cancel 12", "cancel 11"]
    assert caught.value.undone == ["contract 12 on node 2", "contract 11 on node 1"]


async def test_when_a_workload_fails_all_is_undone_and_the_message_names_it(
    grid: FakeGrid, client: GridClient
) -> None:
    grid.nodes[2].fails["vm2"] = "Image not found at http://10.99.0.254/i.tar.gz (404)"
    with pytest.raises(DeployFailed, match=r"vm2 on node 2: Image not found .*404") as caught:
        await client.deploy(pair(), timeout=5)
    assert grid.log[-2:] == ["cancel 12", "cancel 11"]
    assert grid.chain.held == {}
    assert len(caught.value.undone) == 2


async def test_what_cannot_be_undone_is_said_with_the_command_that_does_it(
    grid: FakeGrid, client: GridClient
) -> None:
    grid.nodes[2].refuses = "no"
    grid.chain.fails["cancel", 12] = ChainUnavailable("no endpoint answers")
    with pytest.raises(DeployFailed, match="could not be undone") as caught:
        await client.deploy(pair(), timeout=5)
    assert caught.value.left == ["contract 12 on node 2 (no endpoint answers): `zos cancel 12`"]
    assert caught.value.undone == ["contract 11 on node 1"]


async def test_a_contract_whose_making_got_no_answer_is_found_and_cancelled(
    grid: FakeGrid, client: GridClient
) -> None:
    grid.chain.fails["create", 2] = LostAnswer(OutcomeUnknown("no word in time", b"\1" * 32, 99))
    with pytest.raises(DeployFailed, match="no word in time"):
        await client.deploy(pair(), timeout=5)
    assert grid.log == ["create 11 on 1", "create 12 on 2", "cancel 12", "cancel 11"]


async def test_a_contract_that_may_still_come_is_not_forgotten(grid: FakeGrid, client: GridClient) -> None:
    grid.chain.fails["create", 1] = OutcomeUnknown("no word in time", b"\1" * 32, 99)
    with pytest.raises(DeployFailed) as caught:
        await client.deploy(disk(), timeout=5)
    assert caught.value.left == [
        "contract for node 1 (the chain did not say whether it was made; it may still come): `zos cancel disk`"
    ]


async def test_an_interrupt_undoes_too(grid: FakeGrid, client: GridClient) -> None:
    begun = asyncio.Event()

    def note(event: Event) -> None:
        if event.kind == "accepted":
            begun.set()

    grid.nodes[1].deployment_changes = lambda body: []  # type: ignore[method-assign]  # no result ever comes
    task = asyncio.create_task(client.deploy(disk(), note))
    await begun.wait()
    task.cancel()
    with pytest.raises(DeployFailed, match="interrupted; undone: contract 11 on node 1"):
        await task
    assert grid.chain.held == {}


async def test_an_interrupt_before_anything_was_made_is_just_that(grid: FakeGrid, client: GridClient) -> None:
    task = asyncio.create_task(client.deploy(disk()))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert grid.log == []


async def test_when_time_is_over_it_says_what_was_waited_for(grid: FakeGrid, client: GridClient) -> None:
    grid.nodes[1].deployment_changes = lambda body: []  # type: ignore[method-assign]  # no result ever comes
    with pytest.raises(DeployFailed, match=r"time is over, still waiting for data \(init\)"):
        await client.deploy(disk(), timeout=0.05)
    assert grid.chain.held == {}


# -- update ----------------------------------------------------------------------------------------------------


async def test_update_changes_the_contract_then_the_node(grid: FakeGrid, client: GridClient) -> None:
    await client.deploy(disk(), timeout=5)
    grid.log.clear()
    (placed,) = await client.update(disk("2 GiB"), timeout=5)
    assert grid.log == ["update 11", "update 11 on 1"]
    assert placed.deployment is not None
    assert placed.deployment.version == 1
    assert placed.deployment.capacity().sru == 2 * GIB


async def test_an_unchanged_file_changes_nothing(grid: FakeGrid, client: GridClient) -> None:
    await client.deploy(pair(), timeout=5)
    grid.log.clear()
    await client.update(pair(), timeout=5)
    assert grid.log == []


async def test_update_adds_and_removes_nodes(grid: FakeGrid, client: GridClient) -> None:
    await client.deploy(pair(), timeout=5)
    grid.log.clear()
    smaller = pair().model_copy(update={"workloads": pair().workloads[:3], "nodes": {"left": 1}})
    (placed,) = await client.update(smaller, timeout=5)
    assert placed.node == 1
    assert grid.log == ["update 11", "update 11 on 1", "cancel 12"]
    grid.log.clear()
    await client.update(pair(), timeout=5)
    assert grid.log == ["create 13 on 2", "deploy 13 on 2", "update 11", "update 11 on 1"]


async def test_a_refused_shrink_is_a_failure_and_what_runs_goes_on(
    grid: FakeGrid, client: GridClient
) -> None:
    """Case B010: the node keeps the disk and takes the version; a further version puts the contract right."""
    await client.deploy(disk("2 GiB"), timeout=5)
    grid.nodes[1].unchanged["data"] = "cannot shrink disk from 2 GiB to 1 GiB"
    with pytest.raises(DeployFailed, match="data on node 1: cannot shrink disk") as caught:
        await client.update(disk("1 GiB"), timeout=5)
    assert caught.value.undone == ["contract 11 on node 1 put back"]
    assert caught.value.left == []
    (placed,) = await client.find("disk")
    assert placed.deployment is not None
    assert placed.deployment.version == 2
    assert placed.deployment.capacity().sru == 2 * GIB
    wanted = placed.deployment.challenge_hash().hex()
    assert grid.chain.held[placed.contract].node_contract.deployment_hash == wanted


async def test_when_the_node_refuses_a_version_the_contract_gets_its_old_hash(
    grid: FakeGrid, client: GridClient
) -> None:
    await client.deploy(disk(), timeout=5)
    before = grid.chain.held[11].node_contract
    grid.nodes[1].refuses = "not enough space"
    with pytest.raises(DeployFailed, match="not enough space") as caught:
        await client.update(disk("2 GiB"), timeout=5)
    assert grid.chain.held[11].node_contract == before
    assert caught.value.undone == ["contract 11 on node 1 put back"]


async def test_when_a_second_node_fails_the_first_is_put_back(grid: FakeGrid, client: GridClient) -> None:
    both = deployment_file.parse(
        "name: disks\nworkloads:\n"
        "  - { name: one, type: zmount, node: 1, size: 2 GiB }\n"
        "  - { name: two, type: zmount, node: 2, size: 2 GiB }\n"
    )
    await client.deploy(two_disks(), timeout=5)
    grid.log.clear()
    grid.nodes[2].refuses = "no"
    with pytest.raises(DeployFailed) as caught:
        await client.update(both, timeout=5)
    assert caught.value.undone == ["contract 12 on node 2 put back", "contract 11 on node 1 put back"]
    first, second = await client.find("disks")
    assert first.deployment is not None
    assert second.deployment is not None
    assert (first.deployment.version, first.deployment.capacity().sru) == (2, GIB)
    assert (second.deployment.version, second.deployment.capacity().sru) == (0, GIB)


async def test_update_waits_for_the_new_version_not_for_old_results(
    grid: FakeGrid, client: GridClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node shows the new version with the old results while it works on it."""
    monkeypatch.setattr(grid_client, "PUT_BACK_TIMEOUT_S", 0.05)
    await client.deploy(disk(), timeout=5)
    grid.nodes[1].is_stuck = True
    with pytest.raises(DeployFailed, match="still waiting for data") as caught:
        await client.update(disk("2 GiB"), timeout=0.05)
    (left,) = caught.value.left
    assert left.endswith("`zos update` with the former file")


async def test_update_of_a_node_that_is_silent_is_refused_before(grid: FakeGrid, client: GridClient) -> None:
    await client.deploy(disk(), timeout=5)
    grid.log.clear()
    grid.nodes[1].is_silent = True
    with pytest.raises(CheckFailed, match=r"node 1, contract 11: .*no answer"):
        await client.update(disk("2 GiB"), timeout=5)
    assert grid.log == []


# -- looking and cancelling ------------------------------------------------------------------------------------


async def test_cancel_by_name_and_by_number(grid: FakeGrid, client: GridClient) -> None:
    await client.deploy(pair(), timeout=5)
    grid.log.clear()
    assert await client.cancel("pair") == [11, 12]
    assert grid.log == ["cancel 12", "cancel 11"]
    await client.deploy(disk(), timeout=5)
    assert await client.cancel("13") == [13]


async def test_an_unknown_name_tells_what_there_is(client: GridClient) -> None:
    with pytest.raises(NotFound, match="no deployment 'x'; there are: none"):
        await client.cancel("x")
    await client.deploy(disk(), timeout=5)
    with pytest.raises(NotFound, match="there are: disk"):
        await client.find("x")


async def test_ls_shows_a_deployment_whose_node_is_silent_with_the_reason(
    grid: FakeGrid, client: GridClient
) -> None:
    await client.deploy(pair(), timeout=5)
    grid.nodes[2].is_silent = True
    first, second = await client.ls()
    assert first.deployment is not None
    assert second.deployment is None
    assert "no answer" in second.problem


async def test_contracts_of_others_are_not_shown(grid: FakeGrid, client: GridClient) -> None:
    await client.deploy(disk(), timeout=5)
    client.twin = type(client.twin)(8)
    assert await client.ls() == []


async def test_one_node_that_answers_nonsense_does_not_spoil_the_list(
    grid: FakeGrid, client: GridClient
) -> None:
    grid.nodes[1].features = 5
    assert [(one.node.id, one.is_up) for one in await client.nodes()] == [(1, False), (2, True)]


async def test_changes_are_in_the_order_of_the_node(client: GridClient) -> None:
    await client.deploy(disk(), timeout=5)
    await client.update(disk("2 GiB"), timeout=5)
    found = [(one.version, one.result.state) for _, one in await client.changes("disk")]
    assert found == [(0, ResultState.OK), (1, ResultState.OK)]


async def test_watch_gives_each_change_once(grid: FakeGrid, client: GridClient) -> None:
    (placed,) = await client.deploy(disk(), timeout=5)
    stream = client.watch(1, placed.contract)
    assert (await anext(stream)).version == 0
    await client.update(disk("2 GiB"), timeout=5)
    assert (await asyncio.wait_for(anext(stream), 60)).version == 1
    await stream.aclose()


async def test_closing_closes_bus_and_chain(grid: FakeGrid, client: GridClient) -> None:
    async with client:
        pass
    assert grid.closed
    assert grid.chain.closed


async def test_an_unknown_node_is_named(client: GridClient) -> None:
    with pytest.raises(NotFound, match="there is no node 77"):
        await client.node(77)


async def test_refusals_of_the_bus_are_what_the_caller_gets(grid: FakeGrid, client: GridClient) -> None:
    with pytest.raises(rmb.RemoteError, match="deployment not found"):
        await (await client.node(1)).deployment_get(5)
