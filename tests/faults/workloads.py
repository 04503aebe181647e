"""One workload of every type, so that no provisioner is forgotten."""

from __future__ import annotations

import json
from typing import Any

from gridtypes import Workload, WorkloadType
from tests.zosd.parts import machine, network, public_ip, raw, zmount

GIB = 1 << 30
SECRET = "5b" * 32
STORE = {"address": "[2001:db8::1]:9900", "namespace": "n", "password": "p"}


def _raw(name: str, type: WorkloadType, data: dict[str, Any], version: int = 0) -> Workload:
    return raw(name, type, json.dumps(data), version)


def qsfs(name: str, version: int = 0) -> Workload:
    key = {"algorithm": "AES", "key": SECRET}
    config = {
        "minimal_shards": 1,
        "expected_shards": 2,
        "redundant_groups": 0,
        "redundant_nodes": 0,
        "max_zdb_data_dir_size": 32,
        "encryption": key,
        "meta": {"type": "zdb", "config": {"prefix": "x", "encryption": key, "backends": [STORE]}},
        "groups": [{"backends": [STORE]}],
        "compression": {"algorithm": "snappy"},
    }
    return _raw(name, WorkloadType.QSFS, {"cache": GIB, "config": config}, version)


def light_network(name: str, version: int = 0) -> Workload:
    data = {"subnet": "10.9.1.0/24", "mycelium": {"hex_key": SECRET, "peers": []}}
    return _raw(name, WorkloadType.NETWORK_LIGHT, data, version)


def light_machine(name: str, net: str, version: int = 0) -> Workload:
    data = {
        "flist": "https://images.example/a.tar",
        "network": {"interfaces": [{"network": net, "ip": "10.9.1.5"}]},
        "size": 0,
        "compute_capacity": {"cpu": 1, "memory": GIB},
        "mounts": [],
        "entrypoint": "",
        "env": {},
    }
    return _raw(name, WorkloadType.ZMACHINE_LIGHT, data, version)


def zdb(name: str, size: int = GIB, version: int = 0) -> Workload:
    data = {"size": size, "mode": "user", "password": "p", "public": False}
    return _raw(name, WorkloadType.ZDB, data, version)


def gateways(prefix: str) -> tuple[Workload, ...]:
    backends = {"tls_passthrough": False, "backends": ["http://192.0.2.7:80"]}
    return (
        _raw(f"{prefix}gwn", WorkloadType.GATEWAY_NAME_PROXY, {"name": f"{prefix}name", **backends}),
        _raw(f"{prefix}gwf", WorkloadType.GATEWAY_FQDN_PROXY, {"fqdn": f"{prefix}.example.org", **backends}),
    )


def every_type(prefix: str = "a") -> tuple[Workload, ...]:
    """All thirteen, with everything that they need of each other."""
    net, light = f"{prefix}net", f"{prefix}lnet"
    return (
        machine(f"{prefix}vm", net, {f"{prefix}disk": "/data"}, public=f"{prefix}ip"),
        zmount(f"{prefix}disk"),
        network(net, port=6000 + ord(prefix[0])),
        public_ip(f"{prefix}ip"),
        raw(f"{prefix}ip4", WorkloadType.IPV4),
        _raw(f"{prefix}vol", WorkloadType.VOLUME, {"size": GIB}),
        qsfs(f"{prefix}qsfs"),
        light_network(light),
        light_machine(f"{prefix}lvm", light),
        _raw(
            f"{prefix}logs", WorkloadType.ZLOGS, {"zmachine": f"{prefix}vm", "output": "redis://192.0.2.9/x"}
        ),
        zdb(f"{prefix}zdb"),
        *gateways(prefix),
    )
