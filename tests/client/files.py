"""Deployment files of these tests."""

from __future__ import annotations

from client import deployment_file
from client.deployment_file import DeploymentFile

PAIR = """
name: pair
nodes: { left: 1, right: 2 }
networks: { lan: { range: 10.20.0.0/16 } }
workloads:
  - { name: data, type: zmount, node: left, size: 1 GiB }
  - { name: front, type: publicip, node: left }
  - { name: vm1, type: zmachine, node: left, image: "http://10.99.0.254/i.tar.gz", memory: 512 MiB, network: lan,
      publicip: front, mounts: { data: /data }, env: { A: b } }
  - { name: vm2, type: zmachine, node: right, image: "http://10.99.0.254/i.tar.gz", memory: 512 MiB, network: lan }
"""

DISK = """
name: disk
workloads:
  - { name: data, type: zmount, node: 1, size: %s }
"""


def pair() -> DeploymentFile:
    """A network over two nodes, a machine on each."""
    return deployment_file.parse(PAIR)


def disk(size: str = "1 GiB") -> DeploymentFile:
    """One disk on node 1."""
    return deployment_file.parse(DISK % size)


def two_disks(*, second: str = "1 GiB") -> DeploymentFile:
    """A disk on each of two nodes."""
    return deployment_file.parse(
        "name: disks\nworkloads:\n"
        "  - { name: one, type: zmount, node: 1, size: 1 GiB }\n"
        f"  - {{ name: two, type: zmount, node: 2, size: {second} }}\n"
    )
