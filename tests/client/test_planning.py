"""From a file and facts to one deployment for each node, and from one version to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from client import planning
from client.deployment_file import DeploymentFile, parse
from client.errors import CheckFailed
from client.planning import NodeFacts, Plan, make_plan, name_in, next_version, public_ips, put_back
from client.wireguard_key import WireGuardKey
from gridtypes import ContractId, Deployment, Result, ResultState, TwinId, UpgradeOp, Workload
from gridtypes.workloads import Network, ZMachine
from tests.client.files import PAIR, pair

TWIN = TwinId(7)
USER_KEY = WireGuardKey.generate()
FACTS = {
    "left": NodeFacts(1, TwinId(101), "10.99.1.1", (4000,)),
    "right": NodeFacts(2, TwinId(102), "10.99.1.2"),
}


def plan(file: DeploymentFile, existing: Mapping[int, Deployment] | None = None) -> Plan:
    nodes = {label: FACTS[label] for label in file.labels}
    return make_plan(file, twin=TWIN, nodes=nodes, user_keys={"lan": USER_KEY}, existing=existing)


def running(made: Plan) -> dict[int, Deployment]:
    """The plan as nodes show it when everything runs."""
    okay = Result(1, ResultState.OK, "", b"null")
    return {
        node: replace(
            one,
            contract_id=ContractId(10 + node),
            workloads=[each.with_result(okay) for each in one.workloads],
        )
        for node, one in made.deployments.items()
    }


def names(deployment: Deployment) -> dict[str, int]:
    return {str(one.name): one.version for one in deployment.workloads}


def network(deployment: Deployment) -> Network:
    data = deployment.get("lan").load()
    assert isinstance(data, Network)
    return data


def machine(deployment: Deployment, name: str) -> ZMachine:
    data = deployment.get(name).load()
    assert isinstance(data, ZMachine)
    return data


def steps(found: list[UpgradeOp]) -> list[tuple[str, str]]:
    return [(each.op, str(each.workload.name)) for each in found]


def test_each_node_gets_its_workloads_and_the_network() -> None:
    made = plan(pair())
    assert made.nodes == {"left": 1, "right": 2}
    assert names(made.deployments[1]) == {"lan": 0, "data": 0, "front": 0, "vm1": 0}
    assert names(made.deployments[2]) == {"lan": 0, "vm2": 0}
    for one in made.deployments.values():
        one.check()
        assert (one.version, one.twin_id, one.contract_id) == (0, TWIN, 0)


def test_the_two_parts_of_a_network_know_each_other() -> None:
    made = plan(pair())
    left, right = network(made.deployments[1]), network(made.deployments[2])
    assert left.subnet != right.subnet
    assert left.peers[0].subnet == right.subnet
    assert right.peers[0].endpoint == f"10.99.1.1:{left.wireguard_listen_port}"
    assert left.peers[1].wireguard_public_key == USER_KEY.public
    assert left.wireguard_listen_port != 4000


def test_machines_get_addresses_of_their_nodes_subnet() -> None:
    made = plan(pair())
    assert str(machine(made.deployments[1], "vm1").network.interfaces[0].ip) == "10.20.1.2"
    assert str(machine(made.deployments[2], "vm2").network.interfaces[0].ip) == "10.20.2.2"


@pytest.mark.parametrize(
    ("address", "message"),
    [("10.20.9.5", "10.20.9.5 of vm2 is outside the node's subnet 10.20.2.0/24"), ("10.20.1.2", "outside")],
)
def test_a_wanted_address_has_to_fit(address: str, message: str) -> None:
    text = PAIR.replace("name: vm2, type: zmachine", f"name: vm2, type: zmachine, ip: {address}")
    with pytest.raises(CheckFailed, match=message):
        plan(parse(text))


def test_two_machines_cannot_have_one_address() -> None:
    text = PAIR.replace("type: zmachine, node: right", "type: zmachine, ip: 10.20.1.2, node: left")
    with pytest.raises(CheckFailed, match=r"address 10.20.1.2 of vm2 is that of vm1"):
        plan(parse(text))


def test_what_no_node_would_take_is_refused_with_its_text() -> None:
    text = PAIR.replace("memory: 512 MiB, network: lan }", "memory: 1 MiB, network: lan }")
    with pytest.raises(CheckFailed, match=r"node 2: .*mem"):
        plan(parse(text))


def test_the_contract_keeps_the_name() -> None:
    made = plan(pair())
    assert name_in(made.contract_data) == "pair"
    assert len(made.contract_data) <= planning.CONTRACT_DATA_MAX
    assert [name_in(raw) for raw in (b"", b"[]", b"\xff", b"{}", b'{"name":5}')] == ["", "", "", "", "5"]


def test_the_longest_name_fits_into_a_contract() -> None:
    file = parse(PAIR.replace("name: pair", "name: " + "n" * 64))
    assert len(plan(file).contract_data) <= planning.CONTRACT_DATA_MAX


def test_public_addresses_are_counted() -> None:
    made = plan(pair())
    assert [public_ips(one) for one in made.deployments.values()] == [1, 0]
    six = parse(PAIR.replace("type: publicip", "type: publicip, v4: false, v6: true"))
    assert public_ips(plan(six).deployments[1]) == 0


# -- the next version ------------------------------------------------------------------------------------------


def test_an_unchanged_file_is_the_same_version() -> None:
    before = running(plan(pair()))
    after = plan(pair(), before)
    for node, one in after.deployments.items():
        assert one.version == before[node].version
        assert one.challenge_hash() == before[node].challenge_hash()
        assert one.contract_id == before[node].contract_id


def test_what_exists_keeps_keys_ports_subnets_and_addresses() -> None:
    before = running(plan(pair()))
    bigger = parse(PAIR.replace("size: 1 GiB", "size: 2 GiB"))
    after = plan(bigger, before)
    assert network(after.deployments[1]) == network(before[1])
    assert machine(after.deployments[1], "vm1") == machine(before[1], "vm1")


def test_only_what_changed_gets_the_new_version() -> None:
    before = running(plan(pair()))
    after = plan(parse(PAIR.replace("size: 1 GiB", "size: 2 GiB")), before)
    assert names(after.deployments[1]) == {"lan": 0, "data": 1, "front": 0, "vm1": 0}
    assert after.deployments[1].version == 1
    assert after.deployments[2].version == 0
    assert steps(before[1].upgrade(after.deployments[1])) == [("update", "data")]


def test_versions_of_earlier_changes_are_kept() -> None:
    before = running(plan(pair()))
    second = running(plan(parse(PAIR.replace("size: 1 GiB", "size: 2 GiB")), before))
    third = plan(
        parse(PAIR.replace("size: 1 GiB", "size: 2 GiB").replace("env: { A: b }", "env: { A: c }")), second
    )
    assert names(third.deployments[1]) == {"lan": 0, "data": 1, "front": 0, "vm1": 2}


def test_a_node_that_joins_changes_the_network_of_the_others() -> None:
    alone = parse(PAIR.split("  - { name: vm2")[0])
    before = running(plan(alone))
    after = plan(pair(), before)
    assert names(after.deployments[1])["lan"] == 1
    assert network(after.deployments[1]).subnet == network(before[1]).subnet
    assert network(after.deployments[2]).subnet != network(before[1]).subnet
    assert steps(before[1].upgrade(after.deployments[1])) == [("update", "lan")]
    assert names(after.deployments[2]) == {"lan": 0, "vm2": 0}


def test_a_workload_that_is_left_out_is_removed() -> None:
    before = running(plan(pair()))
    fewer = pair()
    fewer = fewer.model_copy(update={"workloads": [each for each in fewer.workloads if each.name != "vm1"]})
    after = plan(fewer, before)
    assert ("remove", "vm1") in steps(before[1].upgrade(after.deployments[1]))


def test_a_changed_description_is_a_new_version_without_steps() -> None:
    before = running(plan(pair()))
    after = plan(pair().model_copy(update={"description": "mine"}), before)
    assert after.deployments[1].version == 1
    assert before[1].upgrade(after.deployments[1]) == []


def test_the_next_version_has_no_signatures() -> None:
    before = running(plan(pair()))[1]
    requirement = replace(before.signature_requirement.signed(TWIN, b"\1" * 64, "ed25519"))
    after = next_version(before, replace(before, signature_requirement=requirement, description="x"))
    assert after.signature_requirement.signatures == ()


def test_putting_back_sends_again_what_was_touched_and_nothing_else() -> None:
    """The node may show a workload as it was and still be about to change it."""
    before = running(plan(pair()))
    former = before[1]
    failed = plan(parse(PAIR.replace("size: 1 GiB", "size: 2 GiB")), before).deployments[1]
    now = replace(former, version=failed.version)
    back = put_back(now, former, failed)
    assert back.version == 2
    assert names(back) == {"lan": 0, "data": 2, "front": 0, "vm1": 0}
    assert back.get("data").data == former.get("data").data
    assert steps(failed.upgrade(back)) == [("update", "data")]


def test_putting_back_brings_what_was_removed_and_removes_what_was_added() -> None:
    former = running(plan(pair()))[1]
    file = parse(PAIR.replace("name: data", "name: other").replace("mounts: { data:", "mounts: { other:"))
    failed = plan(file, {1: former}).deployments[1]
    back = put_back(failed, former, failed)
    found: list[tuple[str, str]] = steps(failed.upgrade(back))
    assert ("add", "data") in found
    assert ("remove", "other") in found


def test_metadata_of_a_workload_is_kept() -> None:
    made = plan(parse(PAIR.replace("type: publicip", "metadata: mine, type: publicip")))
    found: Workload = made.deployments[1].get("front")
    assert found.metadata == "mine"
