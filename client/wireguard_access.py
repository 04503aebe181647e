"""`zos wg`: the configuration with which the user's own machine joins one of his networks."""

from __future__ import annotations

from client import tunnel
from client.errors import ClientError, NotFound
from client.grid_client import GridClient
from client.placed import Placed
from client.side_by_side import side_by_side
from client.survey import host_of
from client.tunnel import TunnelPlan
from client.wireguard_key import WireGuardKey
from client.wireguard_probe import check_endpoint
from gridtypes import WorkloadType
from gridtypes.workloads import Network


async def access(grid: GridClient, name: str, network: str = "", check: bool = True) -> TunnelPlan:
    """The way into a network of the deployment; `network` may be left out when it has one.

    With `check` every node's endpoint has to answer a handshake.  Raises NotFound, ClientError.
    """
    placed = await grid.find(name)
    wanted = network or _only(placed)
    parts: list[tuple[Network, str]] = []
    for one in placed:
        found = one.deployment.find(wanted) if one.deployment else None
        part = found.load() if found and found.type is WorkloadType.NETWORK else None
        if isinstance(part, Network):
            parts.append((part, await host_of(await grid.node(one.node))))
    if not parts:
        raise NotFound(f"no network {wanted!r} in {name!r}; there are: {', '.join(_names(placed)) or 'none'}")
    plan = tunnel.plan(parts[0][0], WireGuardKey.of_user(grid.key, wanted), parts)
    if check:
        await side_by_side([check_endpoint(peer.endpoint, peer.public_key, plan.key) for peer in plan.peers])
    return plan


def configuration(plan: TunnelPlan) -> str:
    """As `wg-quick` reads it.  Holds the secret key of the user's end."""
    first, *rest = plan.configuration.splitlines()
    return "\n".join([first, f"Address = {', '.join(plan.addresses)}", *rest]) + "\n"


def _names(placed: list[Placed]) -> list[str]:
    found = {
        str(workload.name)
        for one in placed
        for workload in (one.deployment.workloads if one.deployment else ())
        if workload.type is WorkloadType.NETWORK
    }
    return sorted(found)


def _only(placed: list[Placed]) -> str:
    names = _names(placed)
    if len(names) != 1:
        raise ClientError(f"say which network: there are {', '.join(names) or 'none'}")
    return names[0]
