"""One network over two nodes: guests reach each other through the tunnel, the outside, and nothing else."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from tests.host.network.lab import GATEWAY, INTERNET, LAN_HOST, Guest, Lab, Node
from tests.host.network.network_data import Part

pytestmark = pytest.mark.root

NET = "26-1000-net"


@pytest.fixture(scope="module")
def nodes(lab: Lab) -> tuple[Node, Node]:
    first, second = lab.add_node(1), lab.add_node(2)
    peer = {"peers": ["tcp://10.99.0.102:9943"], "multicast": False}
    first.agent.call(
        "ensure",
        address={"address": "10.99.0.11/16", "gateway": GATEWAY},
        exit_address={"address": "10.99.0.101/16", "gateway": GATEWAY},
        yggdrasil=peer,
    )
    second.agent.call(
        "ensure",
        address={"address": "10.99.0.12/16", "gateway": GATEWAY},
        exit_address={"address": "10.99.0.102/16", "gateway": GATEWAY},
        yggdrasil={"multicast": False},
    )
    for node in (first, second):
        node.wait_for_router()
    return first, second


@pytest.fixture(scope="module")
def parts() -> tuple[Part, Part]:
    return Part(2, 7001, "10.99.0.11"), Part(3, 7002, "10.99.0.12")


@pytest.fixture(scope="module")
def guests(nodes: tuple[Node, Node], parts: tuple[Part, Part]) -> Iterator[tuple[Guest, Guest]]:
    made = []
    for node, part, other in zip(nodes, parts, reversed(parts), strict=True):
        node.agent.call("provision", id=NET, type="network", data=part.data(other))
        nic = node.agent.call("attach", guest="26-1000-vm", network="net", address=f"10.50.{part.number}.5")
        made.append(node.guest(nic, "guest"))
    yield made[0], made[1]
    for guest in made:
        guest.close()


def test_guests_reach_each_other_through_the_tunnel(guests: tuple[Guest, Guest]) -> None:
    assert guests[0].pings("10.50.3.5")
    assert "ttl=62" in guests[1].sh("ping -c1 -W2 10.50.2.5")


def test_a_guest_reaches_its_gateway_in_both_families(guests: tuple[Guest, Guest]) -> None:
    assert guests[0].pings("10.50.2.1")
    gateway6 = guests[0].sh("ip -6 route show default").split()[2]
    assert guests[0].pings(gateway6)


def test_a_guest_reaches_the_outside_and_the_lan_is_closed(guests: tuple[Guest, Guest]) -> None:
    assert guests[0].pings(INTERNET)
    assert guests[0].pings("2001:db8:1::1", seconds=8)
    for closed in (GATEWAY, LAN_HOST, "10.99.0.11", "10.99.0.101", "2001:db8:99::1"):
        assert not guests[0].pings(closed, seconds=0), f"{closed} answers a guest"


def test_nobody_on_the_lan_opens_a_connection_into_a_network(lab: Lab, guests: tuple[Guest, Guest]) -> None:
    lab.sh("ip route replace 100.127.0.0/16 via 10.99.0.101; ip route replace 10.50.0.0/16 via 10.99.0.101")
    assert not lab.succeeds("ping", "-c1", "-W1", "10.50.2.5")


def test_mail_is_refused_towards_the_outside_only(lab: Lab, guests: tuple[Guest, Guest]) -> None:
    server = "import socket; s=socket.create_server(('', {}));\nwhile 1: s.accept()[0].close()"
    ports = (25, 26)
    running = [subprocess.Popen(lab.enter(sys.executable, "-c", server.format(port))) for port in ports]
    try:
        time.sleep(0.5)
        assert guests[0].connects(INTERNET, 26)
        assert not guests[0].connects(INTERNET, 25)
    finally:
        for process in running:
            process.terminate()


def test_guests_find_each_other_on_the_planetary_network(nodes: tuple[Node, Node]) -> None:
    nics = [node.agent.call("attach_planetary", guest="26-1000-vm") for node in nodes]
    made = [node.guest(nic, "planet") for node, nic in zip(nodes, nics, strict=True)]
    try:
        assert made[0].pings(nics[1]["addresses"][0].split("/")[0], seconds=15)
        assert nodes[0].agent.call("facts")["interfaces"]["ygg"]
    finally:
        for guest in made:
            guest.close()


def test_updates_and_a_restart_of_the_daemon_lose_no_packet(
    nodes: tuple[Node, Node], parts: tuple[Part, Part], guests: tuple[Guest, Guest]
) -> None:
    (node, _), (part, other) = nodes, parts
    third = Part(4, 7003, "10.99.0.13")
    assert guests[0].pings("10.50.3.5")
    flow = subprocess.Popen(
        node.enter("ip", "netns", "exec", "guest", "ping", "-i", "0.02", "-c", "250", "-q", "10.50.3.5"),
        stdout=subprocess.PIPE,
        text=True,
    )
    with_third, without = part.data(other, third), part.data(other)
    for _ in range(3):
        node.agent.call("update", id=NET, current=without, wanted=with_third)
        node.agent.call("update", id=NET, current=with_third, wanted=without)
    node.restart()
    node.agent.call(
        "ensure",
        address={"address": "10.99.0.11/16", "gateway": GATEWAY},
        exit_address={"address": "10.99.0.101/16", "gateway": GATEWAY},
        yggdrasil={"peers": ["tcp://10.99.0.102:9943"], "multicast": False},
    )
    assert node.agent.call("recover", id=NET, type="network", data=without)
    node.agent.call("attach", guest="26-1000-vm", network="net", address="10.50.2.5")
    output = flow.communicate(timeout=30)[0]
    assert " 0% packet loss" in output, output
