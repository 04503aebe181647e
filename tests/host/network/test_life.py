"""A network's life on one node: made twice, killed in the middle, updated, refused, deleted."""

from __future__ import annotations

import random
import subprocess
import time
from typing import Any

import pytest

from tests.host.network.lab import GATEWAY, Lab, Node, Refused, same
from tests.host.network.network_data import Part

pytestmark = pytest.mark.root

NET = "26-1000-net"
KILLS = 12


@pytest.fixture(scope="module")
def config() -> dict[str, Any]:
    return {
        "address": {"address": "10.99.0.21/16", "gateway": GATEWAY},
        "exit_address": {"address": "10.99.0.121/16", "gateway": GATEWAY},
        "yggdrasil": {"enabled": False},
    }


@pytest.fixture(scope="module")
def node(lab: Lab, config: dict[str, Any]) -> Node:
    node = lab.add_node(3)
    node.agent.call("ensure", **config)
    node.wait_for_router()
    return node


@pytest.fixture
def empty(node: Node) -> str:
    """The node's state without any network, to which every test has to come back."""
    node.agent.call("deprovision", id=NET, type="network")
    return node.state()


PART = Part(2, 7001, "10.99.0.21")
PEERS = [Part(number, 7000 + number, "10.99.0.22") for number in range(3, 6)]


def provision(node: Node, data: Any = None, id: str = NET) -> Any:
    return node.agent.call("provision", id=id, type="network", data=data or PART.data(*PEERS))


def delete(node: Node, id: str = NET) -> None:
    node.agent.call("deprovision", id=id, type="network")


def test_a_second_run_changes_nothing_and_delete_leaves_nothing(node: Node, empty: str) -> None:
    assert provision(node) is None
    made = node.state()
    index = node.run("ip", "-o", "link")
    provision(node)
    assert node.agent.call("recover", id=NET, type="network", data=PART.data(*PEERS))
    same(node.state(), made)
    assert node.run("ip", "-o", "link") == index
    assert "10.50.4.0/24" in made
    delete(node)
    delete(node)
    same(node.state(), empty)
    assert node.sh("ls /run/wireguard") == ""
    assert node.agent.call("inventory", type="network") == []


def test_starting_the_node_again_changes_nothing(node: Node, config: dict[str, Any]) -> None:
    provision(node)
    before = node.state()
    node.restart()
    node.agent.call("ensure", **config)
    same(node.state(), before)
    delete(node)


def test_a_creation_killed_anywhere_is_completed_by_the_next(
    node: Node, empty: str, config: dict[str, Any]
) -> None:
    provision(node)
    whole = node.state()
    delete(node)
    chance = random.Random(7)
    for _ in range(KILLS):
        node.agent.send("provision", id=NET, type="network", data=PART.data(*PEERS))
        time.sleep(chance.uniform(0.0, 0.12))
        node.restart()
        node.agent.call("ensure", **config)
        provision(node)
        same(node.state(), whole)
        node.agent.send("deprovision", id=NET, type="network")
        time.sleep(chance.uniform(0.0, 0.1))
        node.restart()
        node.agent.call("ensure", **config)
        delete(node)
        same(node.state(), empty)


def test_a_taken_port_is_refused_before_anything_is_made(node: Node, empty: str) -> None:
    provision(node)
    made = node.state()
    for port in (7001, 9943):
        with pytest.raises(Refused, match="wireguard listen port already in use, pick another one"):
            provision(node, Part(9, port, "").data(), id="26-1001-other")
    with pytest.raises(Refused, match="network 'net' already exists in contract 1000"):
        provision(node, id="26-1002-net")
    delete(node, "26-1001-other")
    delete(node, "26-1002-net")
    same(node.state(), made)
    assert 7001 in node.agent.call("facts")["ports"]
    delete(node)
    same(node.state(), empty)


def test_a_port_of_a_foreign_program_is_refused_and_named_alike(node: Node, empty: str) -> None:
    with node.udp_port_taken(7001):
        with pytest.raises(Refused, match="wireguard listen port already in use, pick another one"):
            provision(node)
    provision(node)
    delete(node)
    same(node.state(), empty)


def test_an_update_changes_peers_and_port_in_place(node: Node, empty: str) -> None:
    provision(node)
    index = node.run("ip", "-n", "n-NFSHhr5U6X8py", "-o", "link")
    new = Part(2, 7101, "10.99.0.21")
    node.agent.call("update", id=NET, current=PART.data(*PEERS), wanted=new.data(*PEERS[1:]))
    shown = node.run("wg", "show", "w-NFSHhr5U6X8py", "dump")
    assert PEERS[0].public_key not in shown
    assert PEERS[1].public_key in shown
    assert shown.split("\n")[0].split("\t")[2] == "7101"
    assert node.run("ip", "-n", "n-NFSHhr5U6X8py", "-o", "link") == index
    ports = node.agent.call("facts")["ports"]
    assert 7101 in ports
    assert 7001 not in ports
    delete(node)
    same(node.state(), empty)


def test_a_bad_update_is_refused_and_the_network_goes_on(node: Node) -> None:
    provision(node)
    before = node.state()
    bad_subnet = PART.data(*PEERS) | {"subnet": "10.60.2.0/24"}
    with pytest.raises(Refused, match="outside ip_range") as refused:
        node.agent.call("update", id=NET, current=PART.data(*PEERS), wanted=bad_subnet)
    assert refused.value.kind == "Unchanged"
    with node.udp_port_taken(7201):
        wanted = Part(2, 7201, "").data(*PEERS)
        with pytest.raises(Refused, match="port already in use") as refused:
            node.agent.call("update", id=NET, current=PART.data(*PEERS), wanted=wanted)
    assert refused.value.kind == "Unchanged"
    same(node.state(), before)
    delete(node)


def test_a_network_waits_for_its_last_guest(node: Node, empty: str) -> None:
    provision(node)
    nic = node.agent.call("attach", guest="26-1001-vm", network="net", address="10.50.2.7")
    assert node.agent.call("attach", guest="26-1001-vm", network="net", address="10.50.2.7") == nic
    assert node.agent.call("private_ips", twin=26, network="net") == ["10.50.2.7"]
    with pytest.raises(Refused, match="network 'net' is still used by 26-1001-vm") as refused:
        delete(node)
    assert refused.value.kind == "InUse"
    for address, why in (
        ("10.50.2.7", "is taken by 26-1001-vm"),
        ("10.50.2.1", "is reserved"),
        ("10.50.3.7", "is not part of local nr subnet 10.50.2.0/24"),
    ):
        with pytest.raises(Refused, match=why):
            node.agent.call("attach", guest="26-1003-vm", network="net", address=address)
    node.agent.call("detach", guest="26-1001-vm", network="net")
    node.agent.call("detach", guest="26-1001-vm", network="net")
    delete(node)
    same(node.state(), empty)


def test_leftovers_of_a_lost_state_are_swept(node: Node, empty: str) -> None:
    provision(node)
    node.agent.call("attach", guest="26-1001-vm", network="net", address="10.50.2.7")
    (node.folder / "state/owners/network/26-1000-net.json").unlink()
    assert node.agent.call("sweep") == ["NFSHhr5U6X8py"]
    same(node.state(), empty)


def test_a_dead_tunnel_process_is_replaced(node: Node, empty: str) -> None:
    provision(node)
    before = node.state()
    node.sh("kill -9 $(ps -eo pid,args | awk '$2 ~ /wireguard-go/ && $4 == \"w-NFSHhr5U6X8py\" {print $1}')")
    node.sh("while ip -n n-NFSHhr5U6X8py link show dev w-NFSHhr5U6X8py >/dev/null 2>&1; do sleep 0.05; done")
    assert node.agent.call("recover", id=NET, type="network", data=PART.data(*PEERS))
    same(node.state(), before)
    delete(node)
    same(node.state(), empty)


def test_no_private_key_is_readable_or_in_an_argument(node: Node) -> None:
    provision(node)
    key = PART.data()["wireguard_private_key"]
    files = subprocess.run(
        ["grep", "-rlF", key, str(node.folder)], capture_output=True, text=True, check=False
    )
    assert files.stdout == ""
    assert key not in node.run("ps", "-eo", "args")
    delete(node)
