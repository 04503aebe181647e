"""Workload type `ip` on a real node: which address, who holds it, who reaches it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from tests.host.network.lab import GATEWAY, PUBLIC_GATEWAY, Lab, Node, Refused, same

pytestmark = pytest.mark.root

FIRST, SECOND, BURNT = "185.206.122.33", "185.206.122.34", "185.206.122.35"
V4, BOTH = {"v4": True, "v6": False}, {"v4": True, "v6": True}


@pytest.fixture(scope="module")
def node(lab: Lab) -> Node:
    node = lab.add_node(5)
    node.agent.call(
        "ensure",
        address={"address": "10.99.0.41/16", "gateway": GATEWAY},
        exit_address={"address": "10.99.0.141/16", "gateway": GATEWAY},
        yggdrasil={"enabled": False},
    )
    node.wait_for_router()
    node.agent.call(
        "reserve", contract=1000, addresses=[f"{FIRST}/24", f"{SECOND}/24"], gateway=PUBLIC_GATEWAY
    )
    node.agent.call("reserve", contract=1001, addresses=[f"{BURNT}/24"], gateway=PUBLIC_GATEWAY)
    return node


@pytest.fixture
def empty(node: Node) -> str:
    return node.state()


@pytest.fixture
def intruder(lab: Lab) -> Iterator[str]:
    """A device on the LAN that answers for a public address; yields its MAC."""
    lab.sh(
        f"""
        ip netns add intruder; ip link add name up-in type veth peer name eth0 netns intruder
        ip link set dev up-in master lan0 up
        ip netns exec intruder sh -ec 'ip addr add {BURNT}/24 dev eth0; ip link set dev eth0 up'
        """
    )
    yield lab.sh("ip netns exec intruder cat /sys/class/net/eth0/address").strip()
    lab.sh("ip netns del intruder")


def provision(node: Node, name: str, data: object = V4, contract: int = 1000) -> dict[str, str]:
    made: dict[str, str] = node.agent.call("provision", id=f"26-{contract}-{name}", type="ip", data=data)
    return made


def test_each_workload_gets_an_address_of_its_contract_and_a_third_is_refused(node: Node, empty: str) -> None:
    assert provision(node, "a") == {"ip": f"{FIRST}/24", "ip6": "", "gateway": PUBLIC_GATEWAY}
    assert provision(node, "b")["ip"] == f"{SECOND}/24"
    assert provision(node, "a")["ip"] == f"{FIRST}/24"
    with pytest.raises(Refused, match="required 3 ips while contract has 2 ip reserved"):
        provision(node, "c")
    assert node.agent.call("facts")["public_ips"] == [f"{FIRST}/24", f"{SECOND}/24"]
    for name in ("a", "b", "c", "a"):
        node.agent.call("deprovision", id=f"26-1000-{name}", type="ip")
    same(node.state(), empty)
    assert node.agent.call("inventory", type="ip") == []


def test_a_machine_with_a_public_address_is_reached_from_outside(lab: Lab, node: Node, empty: str) -> None:
    made = provision(node, "pubip", BOTH)
    # 62:cc:ec:84:02:08 is the MAC that the vectors derive for this workload
    assert made["ip6"] == "2001:db8:99:0:60cc:ecff:fe84:208/64"
    nic = node.agent.call("attach_public", guest="26-1000-vm", ip="26-1000-pubip")
    assert nic["mac"] == "62:cc:ec:84:02:08"
    assert nic["gateway6"].startswith("fe80::")
    with pytest.raises(Refused, match="was made for 26-1000-vm"):
        node.agent.call("attach_public", guest="26-1000-vm2", ip="26-1000-pubip")
    guest = node.guest(nic, "guest")
    try:
        before = node.agent.call("traffic")["26-1000-pubip"]
        assert guest.pings("198.18.0.1")
        assert guest.pings("2001:db8:1::1")
        assert node.agent.call("traffic")["26-1000-pubip"] > before
        assert lab.succeeds("ping", "-c1", "-W3", "-I", "198.18.0.1", FIRST)
        assert lab.succeeds("ping", "-c1", "-W3", "-I", "2001:db8:1::1", made["ip6"].split("/")[0])
        for closed in (GATEWAY, "10.99.0.41", "10.99.0.141"):
            assert not guest.pings(closed, seconds=0), f"{closed} answers a guest"
        for text in ("10.99.0.254", "10.99.0.41"):
            program = f"import socket; socket.create_connection(({FIRST!r}, 22), 1, ({text!r}, 0))"
            assert not lab.succeeds(sys.executable, "-c", program)
    finally:
        guest.close()
    with pytest.raises(Refused, match="public address 'pubip' is still used by 26-1000-vm") as refused:
        node.agent.call("deprovision", id="26-1000-pubip", type="ip")
    assert refused.value.kind == "InUse"
    node.agent.call("detach_public", guest="26-1000-vm", ip="26-1000-pubip")
    node.agent.call("deprovision", id="26-1000-pubip", type="ip")
    same(node.state(), empty)


def test_an_address_that_another_device_answers_for_is_refused_with_its_mac(
    node: Node, empty: str, intruder: str
) -> None:
    with pytest.raises(Refused, match=f"{BURNT} is already used by the device {intruder}"):
        provision(node, "d", contract=1001)
    node.agent.call("deprovision", id="26-1001-d", type="ip")
    same(node.state(), empty)


def test_the_address_is_taken_once_the_device_is_gone(node: Node, empty: str) -> None:
    assert provision(node, "d", contract=1001)["ip"] == f"{BURNT}/24"
    node.agent.call("deprovision", id="26-1001-d", type="ip")
    same(node.state(), empty)


def test_a_creation_killed_in_the_middle_is_completed(node: Node, empty: str) -> None:
    node.agent.send("provision", id="26-1000-a", type="ip", data=V4)
    subprocess.run(["sleep", "0.3"], check=True)
    node.restart()
    node.agent.call(
        "ensure",
        address={"address": "10.99.0.41/16", "gateway": GATEWAY},
        exit_address={"address": "10.99.0.141/16", "gateway": GATEWAY},
        yggdrasil={"enabled": False},
    )
    assert not node.agent.call("recover", id="26-1000-a", type="ip", data=V4)
    assert node.agent.call("inventory", type="ip") == ["26-1000-a"]
    node.agent.call("reserve", contract=1000, addresses=[f"{FIRST}/24"], gateway=PUBLIC_GATEWAY)
    assert provision(node, "a")["ip"] == f"{FIRST}/24"
    assert node.agent.call("recover", id="26-1000-a", type="ip", data=V4)
    node.agent.call("deprovision", id="26-1000-a", type="ip")
    same(node.state(), empty)
