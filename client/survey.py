"""Ask before anything is signed or paid: which nodes answer, and does what is wanted fit (decision 53)."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence

import aiohttp

import rmb
from client import checks
from client.deployment_file import DeploymentFile
from client.errors import CheckFailed
from client.node_client import Bus, NodeClient
from client.planning import NodeFacts
from client.side_by_side import side_by_side
from gridtypes import Deployment, TwinId
from tfchain.models import Node

REACH_TIMEOUT_S = 10.0
"""A node that does not answer within this is not deployed to; nothing is paid then (case B023)."""


def choose(
    file: DeploymentFile,
    nodes: Mapping[int, Node],
    *,
    kept: Sequence[int] = (),
    up: Sequence[int] = (),
    avoid: Mapping[int, Sequence[str]] | None = None,
) -> dict[str, Node]:
    """A node for each label of the file, in the file's order.  Raises CheckFailed.

    For `any` these come first that have a part of the deployment already (`kept`), then those that are `up`, in a
    random order; `avoid` are nodes that turned out not to do, with the reasons.
    """
    avoided = avoid or {}
    fixed = {label: int(number) for label, number in file.labels.items() if number != "any"}
    problems = [
        f"there is no node {number} on this chain" for number in fixed.values() if number not in nodes
    ]
    if len(set(fixed.values())) != len(fixed):
        problems.append("two labels name the same node: use one label for both")
    if problems:
        raise CheckFailed(problems)
    others = [number for number in up if number not in kept]
    secrets.SystemRandom().shuffle(others)
    free = [one for one in (*kept, *others) if one not in fixed.values() and one not in avoided]
    chosen: dict[str, Node] = {}
    for label in file.labels:
        if label in fixed:
            chosen[label] = nodes[fixed[label]]
        elif free:
            chosen[label] = nodes[free.pop(0)]
        else:
            why = [reason for reasons in avoided.values() for reason in reasons]
            raise CheckFailed([f"no node is left for {label!r}: {len(nodes)} nodes are known", *why])
    return chosen


async def facts_of(bus: Bus, chosen: Mapping[str, Node]) -> dict[str, NodeFacts]:
    """Ask the nodes what planning has to know.  Raises CheckFailed naming those that do not answer."""
    problems: list[str] = []

    async def ask(node: Node) -> NodeFacts | None:
        client = NodeClient(node.twin_id, bus)
        try:
            ports = await client.network_list_wg_ports(timeout=REACH_TIMEOUT_S)
            return NodeFacts(node.id, node.twin_id, await host_of(client), tuple(ports))
        except rmb.RmbError as problem:
            problems.append(_silent(node.id, node.twin_id, problem))
            return None

    answers = await side_by_side([ask(node) for node in chosen.values()])
    if problems:
        raise CheckFailed(sorted(problems))
    return {label: facts for label, facts in zip(chosen, answers, strict=True) if facts is not None}


async def misfits(bus: Bus, node: int, twin: TwinId, deployment: Deployment) -> list[str]:
    """Why the node cannot take the deployment; empty when it can."""
    client = NodeClient(twin, bus)
    try:
        counters = await client.counters(timeout=REACH_TIMEOUT_S)
        features = await client.system_get_node_features(timeout=REACH_TIMEOUT_S)
    except rmb.RmbError as problem:
        return [_silent(node, twin, problem)]
    return [
        *checks.capacity_problems(node, deployment, counters),
        *checks.feature_problems(node, deployment, features),
    ]


async def host_of(client: NodeClient) -> str:
    """Where other nodes reach a node: its public address, else its address on the farm's LAN; "" for neither."""
    try:
        public = await client.network_get_public_config(timeout=REACH_TIMEOUT_S)
        if public.ipv4:
            return public.ipv4.partition("/")[0]
    except rmb.RemoteError:
        pass  # most nodes have none
    addresses = (await client.network_list_interfaces(timeout=REACH_TIMEOUT_S)).zos
    return next((address for address in addresses if ":" not in address), "")


async def unreachable_images(urls: set[str]) -> list[str]:
    """Which images cannot be had from here, and why."""
    problems: list[str] = []
    if not urls:
        return problems
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=REACH_TIMEOUT_S)) as session:
        for url in sorted(urls):
            try:
                async with session.head(url, allow_redirects=True) as answer:
                    if answer.status >= 400 and answer.status != 405:
                        problems.append(f"image not found at {url} ({answer.status})")
            except (aiohttp.ClientError, TimeoutError) as problem:
                problems.append(f"image at {url} cannot be reached: {problem or 'no answer in time'}")
    return problems


def _silent(node: int, twin: TwinId, problem: rmb.RmbError) -> str:
    return f"node {node} (twin {twin}) does not answer over the bus: {problem}"
