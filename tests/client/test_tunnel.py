"""What a tunnel into a network is made of; opening one is tested on a grid."""

from __future__ import annotations

import pytest

from client import tunnel, workloads
from client.errors import ClientError
from client.network_plan import allowed_ips
from client.wireguard_key import WireGuardKey
from gridtypes.workloads import Network, Peer


def _part(subnet: str, key: WireGuardKey, peers: list[Peer]) -> Network:
    built = workloads.network(
        "lan",
        ip_range="10.20.0.0/16",
        subnet=subnet,
        wireguard_private_key=key.private,
        wireguard_listen_port=4001,
        peers=peers,
    )
    data = built.load()
    assert isinstance(data, Network)
    return data


USER, NODE = WireGuardKey.generate(), WireGuardKey.generate()


def _user_peer() -> Peer:
    from ipaddress import IPv4Network

    subnet = IPv4Network("10.20.255.0/24")
    return workloads.peer(subnet=str(subnet), public_key=USER.public, allowed_ips=allowed_ips(subnet))


def test_the_tunnel_reaches_every_part_that_has_an_address() -> None:
    part = _part("10.20.1.0/24", NODE, [_user_peer()])
    plan = tunnel.plan(part, USER, [(part, "10.99.1.1"), (_part("10.20.2.0/24", NODE, []), "")])
    (peer,) = plan.peers
    assert peer.endpoint == "10.99.1.1:4001"
    assert peer.public_key == NODE.public
    assert peer.allowed_ips == ("10.20.1.0/24", "100.64.20.1/32")
    assert plan.addresses == ("100.64.20.255/16", "10.20.255.1/24")
    assert plan.ip_range == "10.20.0.0/16"


def test_the_configuration_is_that_of_wg() -> None:
    part = _part("10.20.1.0/24", NODE, [_user_peer()])
    text = tunnel.plan(part, USER, [(part, "10.99.1.1")]).configuration
    assert text.splitlines()[:2] == ["[Interface]", f"PrivateKey = {USER.private}"]
    assert "Endpoint = 10.99.1.1:4001" in text


def test_a_network_without_the_users_key_says_how_to_get_in() -> None:
    part = _part("10.20.1.0/24", NODE, [])
    with pytest.raises(ClientError, match="made without access for your key: `zos update`"):
        tunnel.plan(part, USER, [(part, "10.99.1.1")])


def test_a_network_that_nobody_can_reach_is_refused() -> None:
    part = _part("10.20.1.0/24", NODE, [_user_peer()])
    with pytest.raises(ClientError, match="no node of this network can be reached"):
        tunnel.plan(part, USER, [(part, "")])
