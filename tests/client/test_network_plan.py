"""How a network lies on its nodes."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest

from client.errors import CheckFailed
from client.network_plan import (
    FIRST_PORT,
    LAST_PORT,
    NetworkMember,
    NetworkPlan,
    free_address,
    free_port,
    free_subnets,
    list_subnets,
    wireguard_address,
)
from client.wireguard_key import WireGuardKey
from gridtypes.workloads import Network

RANGE = IPv4Network("10.20.0.0/16")


def _plan(hosts: tuple[str, str] = ("10.99.1.1", "")) -> NetworkPlan:
    members = tuple(
        NetworkMember(
            number, IPv4Network(f"10.20.{number}.0/24"), 4000 + number, WireGuardKey.generate(), host
        )
        for number, host in enumerate(hosts, start=1)
    )
    return NetworkPlan("lan", RANGE, members, WireGuardKey.generate().public)


def _data(plan: NetworkPlan, node: int) -> Network:
    data = plan.workload(node).load()
    assert isinstance(data, Network)
    return data


def test_each_node_lists_the_others_and_the_user() -> None:
    plan = _plan()
    first, second = _data(plan, 1), _data(plan, 2)
    assert [peer.wireguard_public_key for peer in first.peers] == [
        plan.members[1].key.public,
        plan.user_public_key,
    ]
    assert [peer.wireguard_public_key for peer in second.peers] == [
        plan.members[0].key.public,
        plan.user_public_key,
    ]
    assert str(first.subnet) == "10.20.1.0/24"
    assert first.wireguard_private_key == plan.members[0].key.private


def test_a_peer_that_cannot_be_reached_has_no_endpoint() -> None:
    plan = _plan()
    assert _data(plan, 2).peers[0].endpoint == "10.99.1.1:4001"
    assert _data(plan, 1).peers[0].endpoint == ""


def test_a_peer_may_send_from_its_subnet_and_its_wireguard_address() -> None:
    (peer, user) = _data(_plan(), 1).peers
    assert [str(each) for each in peer.allowed_ips] == ["10.20.2.0/24", "100.64.20.2/32"]
    assert str(user.subnet) == "10.20.255.0/24"
    assert [str(each) for each in user.allowed_ips] == ["10.20.255.0/24", "100.64.20.255/32"]


def test_without_a_users_key_there_is_no_user() -> None:
    plan = _plan()
    plan = NetworkPlan(plan.name, plan.ip_range, plan.members, "")
    assert len(_data(plan, 1).peers) == 1


def test_the_planned_workloads_are_valid() -> None:
    plan = _plan()
    from gridtypes import Deployment

    for node in (1, 2):
        Deployment(workloads=[plan.workload(node)]).check()


def test_subnets_begin_after_the_first_and_end_before_the_users() -> None:
    subnets = list_subnets(RANGE)
    assert (str(subnets[0]), str(subnets[-1]), len(subnets)) == ("10.20.1.0/24", "10.20.255.0/24", 255)
    free = free_subnets(RANGE, [subnets[0]])
    assert (str(free[0]), str(free[-1])) == ("10.20.2.0/24", "10.20.254.0/24")


def test_wireguard_addresses_follow_from_the_subnet() -> None:
    assert wireguard_address(IPv4Network("10.20.3.0/24")) == IPv4Address("100.64.20.3")


def test_a_port_that_is_taken_is_passed_over() -> None:
    assert free_port([], 0) == FIRST_PORT
    assert free_port([FIRST_PORT, FIRST_PORT + 1], 0) == FIRST_PORT + 2
    assert free_port([LAST_PORT], LAST_PORT - FIRST_PORT) == FIRST_PORT
    with pytest.raises(CheckFailed, match="no free WireGuard port"):
        free_port(range(FIRST_PORT, LAST_PORT + 1), 5)


def test_an_address_that_is_taken_is_passed_over_and_the_gateway_too() -> None:
    subnet = IPv4Network("10.20.1.0/29")
    taken: dict[IPv4Address, str] = {}
    for _ in range(5):
        taken[free_address(subnet, taken)] = "vm"
    assert [str(address) for address in taken] == [f"10.20.1.{last}" for last in range(2, 7)]
    with pytest.raises(CheckFailed, match=r"subnet 10.20.1.0/29 has no free address"):
        free_address(subnet, taken)
