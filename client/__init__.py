"""Use a grid from Python, and the `zos` command.

`NodeClient` calls one node; `GridClient` deploys files over several nodes and follows them; `workloads` builds
workloads by hand::

    node = NodeClient(node_twin, await rmb.connect())
    await node.deployment_deploy(deployment.sign(twin, key), timeout=30)
"""

from client.errors import CheckFailed, ClientError, DeployFailed, InvalidFile, NotFound, ProfileError
from client.grid_client import GridClient
from client.node_client import NodeClient

__all__ = [
    "CheckFailed",
    "ClientError",
    "DeployFailed",
    "GridClient",
    "InvalidFile",
    "NodeClient",
    "NotFound",
    "ProfileError",
]
