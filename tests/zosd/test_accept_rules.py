"""Where the node is stricter than gridtypes; each rule has its text."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest

from gridtypes import (
    Deployment,
    SignatureRequest,
    SignatureRequirement,
    TwinId,
    WorkloadType,
)
from tests.shared import cases, report_count
from tests.zosd.parts import (
    TWIN,
    Signer,
    daemon,
    deployment,
    machine,
    network,
    raw,
    zmount,
)
from tests.zosd.test_accept import refused, signed_up


class TestStricterThanGridtypes:
    async def test_mounts_that_collide(self, tmp_path: Path) -> None:
        case = cases("B008")
        names = {
            "dup_disk": ("d0", "/a", "/d"),
            "dup_point": ("/data", "d0", "d1"),
            "missing": ("d9",),
        }
        async with daemon(tmp_path) as node:
            signer = Signer(TwinId(2207))
            node.chain.keys[signer.twin] = signer.public_key
            for name, body in case["input"]["deployments"].items():
                import json

                wanted = Deployment.from_json(json.dumps(body)).sign(signer.twin, signer)
                assert wanted.challenge_hash().hex() == case["expected"][name]["challenge_md5"]
                text = await refused(node, signed_up(node, wanted))
                assert all(part in text for part in names[name]), text
        report_count("cases B008 at accept", len(case["input"]["deployments"]))

    @pytest.mark.parametrize("point", ["data", "", "../data", "/a/../etc"])
    async def test_mount_points_are_absolute(self, tmp_path: Path, point: str) -> None:
        async with daemon(tmp_path) as node:
            wanted = deployment(zmount("d"), network(), machine(mounts={"d": point}))
            assert "is not an absolute path" in await refused(node, signed_up(node, wanted))

    @pytest.mark.parametrize("point", ["/", "//", "/proc", "/sys/x", "/dev/shm", "/etc/", "/usr", "/run/a"])
    async def test_mount_points_do_not_hide_the_system(self, tmp_path: Path, point: str) -> None:
        async with daemon(tmp_path) as node:
            wanted = deployment(zmount("d"), network(), machine(mounts={"d": point}))
            assert "would hide the system's own files" in await refused(node, signed_up(node, wanted))

    async def test_the_same_point_in_another_spelling(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            wanted = deployment(
                zmount("d"), zmount("e"), network(), machine(mounts={"d": "/data", "e": "/data//"})
            )
            assert "mount point '/data' is used for more than one disk" in await refused(
                node, signed_up(node, wanted)
            )

    async def test_ordinary_mount_points_are_fine(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            wanted = deployment(
                zmount("d"), zmount("e"), network(), machine(mounts={"d": "/var/lib/x", "e": "/etc/app"})
            )
            await node.deploy_with_contract(wanted)

    async def test_a_twin_twice_in_the_requests(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            request = SignatureRequest(twin_id=TWIN, required=False, weight=1)
            requirement = SignatureRequirement(requests=(request, request), weight_required=2)
            wanted = replace(deployment(network()), signature_requirement=requirement).sign(TWIN, Signer())
            text = await refused(node, signed_up(node, wanted))
            assert text.startswith("twin 26 stands more than once in the signature requests")

    @pytest.mark.parametrize(
        ("type", "data"),
        [(WorkloadType.ZMOUNT, "null"), (WorkloadType.IPV4, "null"), (WorkloadType.NETWORK, "null")],
    )
    async def test_data_null(self, tmp_path: Path, type: WorkloadType, data: str) -> None:
        async with daemon(tmp_path) as node:
            good = deployment(network())
            bad = replace(good, workloads=(raw("x", type, data),))
            text = await refused(node, bad)
            assert "null" in text

    @pytest.mark.parametrize(
        ("passthrough", "backend", "text"),
        [
            ("false", "http://185.206.122.33:80", "points to the node's own public IP address"),
            ("true", "185.206.122.33:443", "points to the node's own public IP address"),
            ("true", "127.0.0.1:443", "backend 127.0.0.1:443 is a loopback address"),
            ("true", "[::1]:443", "is a loopback address"),
        ],
    )
    async def test_gateway_backends(self, tmp_path: Path, passthrough: str, backend: str, text: str) -> None:
        async with daemon(tmp_path) as node:
            node.node.addresses = (ip_address("185.206.122.33"),)
            gateway = raw(
                "gw",
                WorkloadType.GATEWAY_NAME_PROXY,
                f'{{"name":"a","tls_passthrough":{passthrough},"backends":["{backend}"]}}',
            )
            assert text in await refused(node, signed_up(node, deployment(gateway)))

    async def test_what_its_provisioner_knows_to_be_impossible(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            node.node.invalid = "the key has 7 bytes"
            text = await refused(node, signed_up(node, deployment(network())))
            assert text == "workload 'net1': the key has 7 bytes"

    async def test_a_type_that_the_node_does_not_run(self, tmp_path: Path) -> None:
        async with daemon(tmp_path) as node:
            node.node.provisioners = {WorkloadType.NETWORK: object()}
            text = await refused(node, signed_up(node, deployment(zmount("a"))))
            assert text == "workload type 'zmount' is not supported by this node, which offers: network"
