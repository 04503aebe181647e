"""The smallest change of a tunnel: peers that stay are not mentioned (weakness W-4)."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import IPv4Network

from provisioners.system.wireguard_config import Endpoint, Peer, WireGuardConfig, difference, parse_dump

A = Peer("A" * 43 + "=", frozenset({IPv4Network("10.1.3.0/24")}), Endpoint("192.0.2.3", 7003))
B = Peer("B" * 43 + "=", frozenset({IPv4Network("10.1.4.0/24"), IPv4Network("100.64.1.4/32")}))
NOW = WireGuardConfig("private", 7001, (A, B))


def test_nothing_to_do() -> None:
    assert difference(NOW, NOW) == []
    assert difference(NOW, replace(NOW, peers=(B, A))) == []


def test_a_fresh_link_gets_everything_in_one_command() -> None:
    assert difference(WireGuardConfig("", 51820), NOW) == [
        *("listen-port", "7001", "private-key", "/dev/stdin"),
        *("peer", A.public_key, "endpoint", "192.0.2.3:7003", "persistent-keepalive", "20"),
        *("allowed-ips", "10.1.3.0/24"),
        *("peer", B.public_key, "persistent-keepalive", "20", "allowed-ips", "10.1.4.0/24,100.64.1.4/32"),
    ]


def test_only_the_peer_that_changes_is_mentioned() -> None:
    wider = replace(B, allowed_ips=frozenset({IPv4Network("10.1.5.0/24")}))
    assert difference(NOW, replace(NOW, peers=(A, wider))) == [
        "peer",
        B.public_key,
        "allowed-ips",
        "10.1.5.0/24",
    ]
    assert difference(NOW, replace(NOW, peers=(A,))) == ["peer", B.public_key, "remove"]


def test_a_peer_that_roamed_is_left_where_it_is() -> None:
    roamed = replace(NOW, peers=(replace(A, endpoint=Endpoint("198.51.100.9", 1)), B))
    assert difference(roamed, NOW, before=NOW) == []


def test_a_peer_whose_endpoint_was_changed_moves() -> None:
    moved = replace(NOW, peers=(replace(A, endpoint=Endpoint("2001:db8::3", 7)), B))
    assert difference(NOW, moved, before=NOW) == ["peer", A.public_key, "endpoint", "[2001:db8::3]:7"]


def test_two_declarations_of_one_key_are_one_machine() -> None:
    again = replace(A, allowed_ips=frozenset({IPv4Network("10.1.9.0/24")}), endpoint=None)
    joined = replace(NOW, peers=(A, again)).by_key()[A.public_key]
    assert joined.endpoint == A.endpoint
    assert joined.allowed_ips == A.allowed_ips | again.allowed_ips


def test_what_wg_prints_is_read_back() -> None:
    dump = (
        "private\tpublic\t7001\toff\n"
        f"{A.public_key}\t(none)\t192.0.2.3:7003\t10.1.3.0/24\t0\t0\t0\t20\n"
        f"{B.public_key}\t(none)\t(none)\t10.1.4.0/24,100.64.1.4/32\t0\t0\t0\t20\n"
    )
    assert parse_dump(dump) == NOW
    assert parse_dump("(none)\t(none)\t0\toff\n") == WireGuardConfig("", 0)


def test_the_private_key_is_not_shown() -> None:
    assert "private'" not in repr(NOW)
    assert "private" not in " ".join(difference(WireGuardConfig("", 0), NOW)).replace("private-key", "")
