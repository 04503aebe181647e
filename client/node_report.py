"""Everything that a node tells a user about itself, in one look."""

from __future__ import annotations

from dataclasses import dataclass

import rmb
from client.errors import ClientError, NotFound
from client.grid_client import GridClient
from client.node_answers import Counters, Diagnostics, DoctorFinding, Gpu, NodePublicConfig, Pool
from client.node_client import NodeClient
from client.survey import REACH_TIMEOUT_S
from gridtypes import NodeId, TwinId
from tfchain.models import Node

UNAUTHORIZED = "unauthorized"
"""What a node answers to who is not its farmer."""


class NotTheFarmer(ClientError):
    """Something is the farmer's alone."""


@dataclass(frozen=True, slots=True)
class NodeReport:
    node: Node
    farmer: TwinId | None
    renter: int
    """Rent contract of the whole node, 0 for none."""
    version: str
    features: tuple[str, ...]
    counters: Counters
    pools: tuple[Pool, ...]
    gpus: tuple[Gpu, ...]
    public_config: NodePublicConfig | None
    health: Diagnostics | None
    """None where the node's version does not know it."""
    problem: str = ""
    """Why the node does not answer; then all that it would tell is empty."""


async def report(grid: GridClient, number: int) -> NodeReport:
    """Raises NotFound for a node that is not on the chain."""
    node = await grid.chain.node(NodeId(number))
    if node is None:
        raise NotFound(f"there is no node {number} on this chain; `zos nodes` lists them")
    farm = await grid.chain.farm(node.farm_id)
    farmer = farm.twin_id if farm else None
    rent = await grid.chain.rent_contract(node.id) or 0
    client = NodeClient(node.twin_id, grid.bus)
    try:
        version = await client.system_version(timeout=REACH_TIMEOUT_S)
        return NodeReport(
            node,
            farmer,
            rent,
            version.zos,
            tuple(await client.system_get_node_features()),
            await client.counters(),
            tuple(await client.pools()),
            tuple(await client.gpus()),
            await _public_config(client),
            await _health(client),
        )
    except rmb.RmbError as problem:
        empty = Counters()
        return NodeReport(node, farmer, rent, "", (), empty, (), (), None, None, str(problem))


async def doctor(grid: GridClient, number: int) -> list[DoctorFinding]:
    """The node's own report, which only its farmer gets.  Raises NotFound, NotTheFarmer, rmb.RmbError."""
    try:
        return await (await grid.node(number)).doctor()
    except rmb.RemoteError as refusal:
        if str(refusal) != UNAUTHORIZED:
            raise
        node = await grid.chain.node(NodeId(number))
        farm = await grid.chain.farm(node.farm_id) if node else None
        farmer = f"twin {farm.twin_id}, the farmer of farm {farm.id}" if farm else "its farmer"
        raise NotTheFarmer(
            f"node {number} tells its findings to {farmer}, and you are twin {grid.twin}: use the farmer's profile"
        ) from refusal


async def _public_config(client: NodeClient) -> NodePublicConfig | None:
    try:
        return await client.network_get_public_config()
    except rmb.RemoteError:
        return None  # most nodes have none


async def _health(client: NodeClient) -> Diagnostics | None:
    try:
        return await client.system_diagnostics()
    except (rmb.RemoteError, rmb.InvalidAnswer):
        return None
