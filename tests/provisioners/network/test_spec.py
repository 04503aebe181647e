"""What a network may ask for: each rule with its message (weakness W-3)."""

from __future__ import annotations

import base64
import json
from ipaddress import IPv4Network
from typing import Any

import pytest

from gridtypes import Deployment, Workload, WorkloadId, WorkloadType
from provisioners.network.spec import NetworkSpec, read
from provisioners.protocol import PlacedWorkload, WorkloadError
from provisioners.system.wireguard_config import Endpoint
from tests.shared import cases, report_count

KEY = base64.b64encode(bytes(range(32))).decode()
PEER_KEY = base64.b64encode(bytes(range(1, 33))).decode()
OTHER_KEY = base64.b64encode(bytes(range(2, 34))).decode()


def peer(**changes: Any) -> dict[str, Any]:
    return {
        "subnet": "10.1.3.0/24",
        "wireguard_public_key": PEER_KEY,
        "allowed_ips": ["10.1.3.0/24", "100.64.1.3/32"],
        "endpoint": "",
    } | changes


def network(**changes: Any) -> dict[str, Any]:
    return {
        "ip_range": "10.1.0.0/16",
        "subnet": "10.1.2.0/24",
        "wireguard_private_key": KEY,
        "wireguard_listen_port": 7001,
        "peers": [peer()],
    } | changes


def spec_of(data: dict[str, Any]) -> NetworkSpec:
    id = WorkloadId.parse("26-1000-net")
    return read(
        PlacedWorkload(id, Workload(0, id.name, WorkloadType.NETWORK, json.dumps(data).encode(), "", ""))
    )


def test_a_good_network_is_read() -> None:
    spec = spec_of(network())
    assert spec.netid == "NFSHhr5U6X8py"
    assert (spec.ip_range, spec.subnet) == (IPv4Network("10.1.0.0/16"), IPv4Network("10.1.2.0/24"))
    assert spec.port == 7001
    assert KEY not in repr(spec)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ip_range": "10.1.0.0/20"}, "ip_range '10.1.0.0/20' is not a /16"),
        ({"ip_range": "10.1.4.0/16"}, "ip_range '10.1.4.0/16' has host bits set; the network is 10.1.0.0/16"),
        ({"ip_range": "fd00::/16"}, "ip_range 'fd00::/16' is not an IPv4 network"),
        ({"subnet": "10.1.2.0/25"}, "subnet '10.1.2.0/25' is not a /24"),
        ({"subnet": "10.2.2.0/24"}, "subnet '10.2.2.0/24' lies outside ip_range 10.1.0.0/16"),
        ({"wireguard_listen_port": 0}, "wireguard_listen_port '0' is not within 1-65535"),
        ({"wireguard_private_key": "not a key"}, r"wireguard_private_key '\(not shown\)' is not base64"),
        ({"wireguard_private_key": "AAAA"}, "has 3 bytes, a WireGuard key has 32"),
        ({"peers": [peer(subnet="10.1.2.0/25")]}, "overlaps this node's subnet 10.1.2.0/24"),
        ({"peers": [peer(subnet="10.9.3.0/24")]}, r"peers\[1\].subnet '10.9.3.0/24' lies outside ip_range"),
        (
            {"peers": [peer(allowed_ips=["0.0.0.0/0"])]},
            r"peers\[1\].allowed_ips '0.0.0.0/0' lies outside ip_range",
        ),
        (
            {"peers": [peer(wireguard_public_key="AAAA")]},
            r"peers\[1\].wireguard_public_key 'AAAA' has 3 bytes",
        ),
        (
            {"peers": [peer(endpoint="node.example:7000")]},
            "endpoint 'node.example:7000' is not a literal address",
        ),
        ({"peers": [peer(endpoint="192.0.2.1")]}, "endpoint '192.0.2.1' is not a literal address and port"),
        ({"peers": [peer(endpoint="192.0.2.1:0")]}, "port '0' is not within 1-65535"),
        ({"peers": [peer(endpoint="127.0.0.1:7")]}, "nobody can be reached at 127.0.0.1"),
        (
            {"peers": [peer(), peer(subnet="10.1.4.0/24", wireguard_public_key=OTHER_KEY)]},
            r"peers\[2\].allowed_ips '10.1.3.0/24' already leads to peers\[1\]",
        ),
        ({"mycelium": {"hex_key": "ab" * 32, "peers": []}}, "this node has no mycelium"),
    ],
)
def test_a_bad_network_is_refused_by_name(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(WorkloadError, match=message):
        spec_of(network(**changes))


@pytest.mark.parametrize(
    "taken", ["100.64.0.0/16", "100.127.0.0/16", "127.0.0.0/16", "169.254.0.0/16", "224.1.0.0/16"]
)
def test_a_range_with_another_use_is_refused(taken: str) -> None:
    subnet = taken.removesuffix("0.0/16") + "2.0/24"
    with pytest.raises(WorkloadError, match="which has another use"):
        spec_of(network(ip_range=taken, subnet=subnet, peers=[]))


def test_a_node_is_not_its_own_peer() -> None:
    from nacl.bindings import crypto_scalarmult_base

    own = base64.b64encode(crypto_scalarmult_base(base64.b64decode(KEY))).decode()
    with pytest.raises(WorkloadError, match="is this node's own key"):
        spec_of(network(peers=[peer(wireguard_public_key=own)]))


def test_a_peer_without_endpoint_is_configured_without_one() -> None:
    case = cases("B063")
    deployment = Deployment.from_json(json.dumps(case["input"]["deployment"]))
    for workload in deployment.workloads:
        id = WorkloadId.parse(f"{deployment.twin_id}-{deployment.contract_id}-{workload.name}")
        peers = read(PlacedWorkload(id, workload)).wireguard.peers
    assert [peer.endpoint for peer in peers] == [None, Endpoint("192.88.99.9", 7002)]
    assert all(peer.keepalive > 0 for peer in peers)
    report_count("case B063", 1)
