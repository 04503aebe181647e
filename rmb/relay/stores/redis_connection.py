"""How a relay reaches its Redis: one server, or a Redis Cluster of which some nodes are named."""

from __future__ import annotations

from typing import Any, TypeAlias

import redis.asyncio as aioredis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from rmb.redis_link import RedisAddress

Connection: TypeAlias = Any
"""`redis.asyncio.Redis` or `RedisCluster`: what is used of them has the same names."""

CONNECT_S = 5.0
CLUSTER_ATTEMPTS = 3
"""How often a command is tried again while the cluster moves a slot or chooses another master."""


def addresses(text: str) -> tuple[RedisAddress, ...]:
    """One address, or several between commas.  Raises ValueError."""
    return tuple(RedisAddress.parse(part.strip()) for part in text.split(",") if part.strip())


def connect(nodes: tuple[RedisAddress, ...], *, cluster: bool) -> Connection:
    """Nothing is connected yet.  Raises ValueError for addresses that do not fit."""
    first = nodes[0]
    if cluster:
        if any(node.socket or node.database for node in nodes):
            raise ValueError("nodes of a Redis Cluster are redis://host:port, without a database")
        return RedisCluster(
            startup_nodes=[ClusterNode(node.host, node.port) for node in nodes],
            password=first.password,
            socket_timeout=None,
            socket_connect_timeout=CONNECT_S,
            retry=Retry(NoBackoff(), CLUSTER_ATTEMPTS),
            require_full_coverage=False,
            protocol=2,
        )
    if len(nodes) > 1:
        raise ValueError("several addresses are those of a Redis Cluster: say so with `cluster = true`")
    options: dict[str, Any] = {
        "db": first.database,
        "password": first.password,
        "socket_timeout": None,
        "socket_connect_timeout": CONNECT_S,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
    }
    if first.socket:
        return aioredis.Redis(unix_socket_path=first.socket, **options)
    return aioredis.Redis(host=first.host, port=first.port, **options)
