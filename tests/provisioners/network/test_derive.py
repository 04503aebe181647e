"""The derivations of names and addresses, against the recorded ones (`network.json`)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest

from gridtypes import TwinId, WorkloadId, network_id
from provisioners.system import derive
from provisioners.system.blake3 import blake3_small
from tests.shared import report_count, vectors


def test_macs_from_bytes() -> None:
    cases = vectors("network")["mac"]
    for case in cases:
        assert derive.mac_from(bytes.fromhex(case["input_hex"])) == case["mac"], case
    report_count("network.json mac", len(cases))


def test_ids_of_networks_and_workloads() -> None:
    recorded = vectors("network")
    for case in recorded["netid"]:
        assert network_id(TwinId(case["twin"]), case["name"]) == case["netid"]
    for case in recorded["unique"]:
        assert WorkloadId.parse(case["workload"]).unique(case["n"]) == case["unique"]
    report_count("network.json ids", len(recorded["netid"]) + len(recorded["unique"]))


def test_addresses_of_private_networks() -> None:
    recorded = vectors("network")
    for case in recorded["v6"]:
        derived = derive.private_ipv6(case["netid"], IPv4Address(case["ip"]))
        assert (derived.ip, derived.network.prefixlen) == (IPv6Address(case["v6"]), 64), case
    for case in recorded["wg_address"]:
        assert str(derive.wireguard_address(IPv4Network(case["subnet"]))) == case["address"]
    for case in recorded["ndmz_v6"]:
        assert derive.ndmz_ipv6(IPv4Address(case["ip"])).ip == IPv6Address(case["v6"])
    report_count("network.json addresses", sum(len(recorded[key]) for key in ("v6", "wg_address", "ndmz_v6")))


def test_slaac_addresses() -> None:
    cases = vectors("network")["slaac"]
    for case in cases:
        assert str(derive.slaac(IPv6Network(case["prefix"]), case["mac"])) == case["address"]
    report_count("network.json slaac", len(cases))


def test_slaac_needs_a_slash_64() -> None:
    with pytest.raises(ValueError, match="is not a /64"):
        derive.slaac(IPv6Network("2001:db8::/48"), "02:00:00:00:00:01")


def test_yggdrasil_addresses() -> None:
    cases = vectors("network")["yggdrasil"]
    for case in cases:
        key = bytes.fromhex(case["public"])
        subnet = derive.yggdrasil_subnet(key)
        assert str(derive.yggdrasil_address(key)) == case["address"]
        assert str(subnet) == case["subnet"]
        if "ip_for_mac" in case:
            of_mac = case["ip_for_mac"]
            assert str(derive.planetary_address(subnet, of_mac["mac"])) == of_mac["ip"]
        if "ndmz_ip" in case:
            assert str(derive.hashed_address(subnet, b"ygg:ndmz")) == case["ndmz_ip"]
    report_count("network.json yggdrasil", len(cases))


def test_mycelium_keys_and_addresses() -> None:
    cases = vectors("network")["mycelium"]
    for case in cases:
        private = derive.x25519_from_seed(bytes.fromhex(case["seed"]))
        assert private.hex() == case["x25519_private"]
        assert derive.x25519_public(private).hex() == case["x25519_public"]
        assert str(derive.mycelium_address(derive.x25519_public(private))) == case["address"]
    report_count("network.json mycelium", len(cases))


def test_blake3_of_nothing_is_the_published_digest() -> None:
    # BLAKE3 test_vectors.json, input_len 0 and 1
    assert blake3_small(b"").hex() == "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262"
    assert blake3_small(b"\0").hex() == "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213"
    with pytest.raises(ValueError, match="more than one BLAKE3 block"):
        blake3_small(bytes(65))


def test_a_name_that_the_kernel_would_cut_is_refused() -> None:
    assert derive.link_name("b-", "NFSHhr5U6X8py") == "b-NFSHhr5U6X8py"
    with pytest.raises(ValueError, match="longer than 15"):
        derive.link_name("b-", "NFSHhr5U6X8pyX")
