"""The node's own network: DHCP, router advertisements, one NIC or two, and a public configuration."""

from __future__ import annotations

import re
from ipaddress import IPv6Network

import pytest
from nacl.bindings import crypto_sign_seed_keypair

from provisioners.system.derive import mac_from, node_identity, slaac
from tests.host.network.lab import GATEWAY, Lab, Node, Refused, same
from tests.host.network.network_data import Part

pytestmark = pytest.mark.root

PUBLIC = {"ipv4": "185.206.122.20/24", "gw4": "185.206.122.1", "domain": "gent.example"}
NET, TUNNEL = "26-1000-net", "w-NFSHhr5U6X8py"


@pytest.fixture(scope="module")
def node(lab: Lab) -> Node:
    node = lab.add_node(6, segments=2)
    node.agent.call("ensure", yggdrasil={"multicast": False})
    node.wait_for_router()
    return node


def test_dhcp_gives_both_links_an_address_and_the_clients_outlive_the_daemon(node: Node) -> None:
    facts = node.agent.call("facts")
    assert any(re.fullmatch(r"10\.99\.1\.\d+", text) for text in facts["interfaces"]["zos"])
    assert "10.99.1." in node.sh("ip -n ndmz -4 addr show dev npub4")
    clients = node.sh("ps -eo pid,args | grep 'udhcpc -i' | grep -v grep")
    before = node.state()
    node.restart()
    node.agent.call("ensure", yggdrasil={"multicast": False})
    assert node.sh("ps -eo pid,args | grep 'udhcpc -i' | grep -v grep") == clients
    same(node.state(), before)


def test_npub6_has_the_predicted_address_while_forwarding(node: Node) -> None:
    identity = node_identity(crypto_sign_seed_keypair(node.seed)[0])
    wanted = slaac(IPv6Network("2001:db8:99::/64"), mac_from(f"{identity}-ndmz6".encode()))
    assert str(wanted) in node.sh("ip -n ndmz -6 addr show dev npub6")
    assert node.agent.call("facts")["has_ipv6"] is True


def test_yggdrasil_has_the_derived_address_and_its_key_is_private(node: Node) -> None:
    address = node.agent.call("facts")["planetary_address"]
    assert f"inet6 {address}/7" in node.sh("ip -n ndmz -6 addr show dev ygg0")
    assert node.sh(f"stat -c %a {node.folder}/state/network/yggdrasil.conf").strip() == "600"
    pid = node.sh("pgrep -x yggdrasil")
    node.restart()
    node.agent.call("ensure", yggdrasil={"multicast": False})
    assert node.sh("pgrep -x yggdrasil") == pid


def test_a_second_nic_becomes_the_public_uplink_and_back(node: Node) -> None:
    node.agent.call("ensure", public_nic="eth1", yggdrasil={"multicast": False})
    assert "master br-pub" in node.sh("ip -o link show dev eth1")
    assert not node.succeeds("ip", "link", "show", "dev", "p-tozos")
    node.agent.call("ensure", yggdrasil={"multicast": False})
    assert "master br-pub" in node.sh("ip -o link show dev p-tozos")
    assert "master" not in node.sh("ip -o link show dev eth1")


def test_the_farmer_chooses_the_public_nic_while_the_node_runs(node: Node) -> None:
    node.agent.call("ensure", yggdrasil={"multicast": False})
    found = node.agent.call("nics")
    # In a container a NIC is one end of a veth, so only those that are named count.
    assert {"zos", "eth0"} <= found.keys()
    assert not {"lo", "br-pub", "br-ndmz"} & found.keys()
    addresses, mac = found["zos"]
    assert all("/" in address for address in addresses)
    assert mac.count(":") == 5
    node.agent.call("set_public_nic", name="eth1")
    node.agent.call("set_public_nic", name="eth1")
    assert "master br-pub" in node.sh("ip -o link show dev eth1")
    assert "eth1" in node.agent.call("nics")
    for name, words in (
        ("eth9", "Link not found"),
        ("eth0", "device is 'eth0' already used"),
        ("br-ndmz", "invalid exit bridge must be a physical nic or the default bridge"),
    ):
        with pytest.raises(Refused, match=words):
            node.agent.call("set_public_nic", name=name)
    assert "master br-pub" in node.sh("ip -o link show dev eth1")
    node.agent.call("set_public_nic", name=None)
    assert "master br-pub" in node.sh("ip -o link show dev p-tozos")
    assert "master" not in node.sh("ip -o link show dev eth1")


def test_a_public_config_moves_tunnels_and_overlay_and_goes_without_a_reboot(lab: Lab, node: Node) -> None:
    part, peer = Part(2, 7001, ""), Part(3, 7002, "185.206.122.99")
    data = part.data(peer)
    node.agent.call("provision", id=NET, type="network", data=data)
    assert ":7001 " in node.sh("ss -Hlun")
    node.agent.call("set_public", config=PUBLIC)
    node.agent.call("provision", id=NET, type="network", data=data)
    assert ":7001 " in node.sh("ip netns exec public ss -Hlun")
    assert ":7001 " not in node.sh("ss -Hlun")
    assert TUNNEL in node.sh(f"ip -n n-NFSHhr5U6X8py -o link show dev {TUNNEL}")
    assert lab.succeeds("ping", "-c1", "-W3", "185.206.122.20")
    assert "elements = { 7001 }" in node.sh("ip netns exec public nft list set inet filter wireguard")
    assert "ygg0" in node.sh("ip -n public -o link")
    node.agent.call("set_public", config=None)
    node.agent.call("provision", id=NET, type="network", data=data)
    assert ":7001 " in node.sh("ss -Hlun")
    assert "public" not in node.sh("ip netns list").split()
    assert "ygg0" in node.sh("ip -n ndmz -o link")
    node.agent.call("deprovision", id=NET, type="network")


def test_mtu_of_the_uplink_reaches_bridges_tunnels_and_guests(lab: Lab) -> None:
    node = lab.add_node(7)
    node.sh("ip link set dev eth0 mtu 1450")
    node.agent.call(
        "ensure",
        address={"address": "10.99.0.51/16", "gateway": GATEWAY},
        exit_address={"address": "10.99.0.151/16", "gateway": GATEWAY},
        yggdrasil={"enabled": False},
    )
    node.agent.call("provision", id=NET, type="network", data=Part(2, 7001, "").data())
    nic = node.agent.call("attach", guest="26-1000-vm", network="net", address="10.50.2.5")
    assert nic["mtu"] == 1450
    assert "mtu 1370" in node.sh(f"ip -n n-NFSHhr5U6X8py -o link show dev {TUNNEL}")
    for link in ("zos", "br-pub", "br-ndmz", "b-NFSHhr5U6X8py", nic["tap"]):
        assert "mtu 1450" in node.sh(f"ip -o link show dev {link}")


def test_a_missing_uplink_is_named_together_with_what_is_there(lab: Lab) -> None:
    node = lab.add_node(8)
    with pytest.raises(Refused, match="uplink eth7 does not exist; the node has: eth0"):
        node.agent.call("ensure", uplink="eth7")
