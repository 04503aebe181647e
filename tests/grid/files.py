"""Deployment files of the grid tests."""

from __future__ import annotations

from client import deployment_file
from client.deployment_file import DeploymentFile

IMAGE = "http://10.99.0.254:8080/demo.tar.gz"
MIB = 1 << 20


def one_node(name: str, *, node: int = 1, machine: bool = True) -> DeploymentFile:
    """All four types on one node; without a machine three of them."""
    workloads: list[dict[str, object]] = [
        {"name": "data", "type": "zmount", "node": node, "size": 64 * MIB},
        {"name": "front", "type": "publicip", "node": node},
    ]
    if machine:
        workloads.append(
            {
                "name": "vm",
                "type": "zmachine",
                "node": node,
                "image": IMAGE,
                "memory": 256 * MIB,
                "network": "net" + name,
                "publicip": "front",
                "mounts": {"data": "/data"},
                "entrypoint": "/sbin/zinit",
            }
        )
    return DeploymentFile.model_validate(
        {"name": name, "networks": {"net" + name: {}} if machine else {}, "workloads": workloads}
    )


def pair(name: str) -> DeploymentFile:
    """A network over both nodes with a machine on each, the first with a public address."""
    text = f"""
name: {name}
networks: {{ n{name}: {{ range: 10.30.0.0/16 }} }}
workloads:
  - {{ name: front, type: publicip, node: 1 }}
  - {{ name: data, type: zmount, node: 1, size: 64 MiB }}
  - {{ name: vm1, type: zmachine, node: 1, image: "{IMAGE}", memory: 256 MiB, network: n{name}, publicip: front,
       mounts: {{ data: /data }}, entrypoint: /sbin/zinit }}
  - {{ name: vm2, type: zmachine, node: 2, image: "{IMAGE}", memory: 256 MiB, network: n{name},
       entrypoint: /sbin/zinit }}
"""
    return deployment_file.parse(text)
