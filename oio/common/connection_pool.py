"""Pools of HTTP connections, shared by the clients of a program and safe for many threads."""

from __future__ import annotations

from typing import Any, Final

import urllib3

POOLS: Final = 32
CONNECTIONS: Final = 32
CONNECTION_TIMEOUT: Final = 2.0
READ_TIMEOUT: Final = 30.0


def get_pool_manager(
    pool_connections: int = POOLS,
    pool_maxsize: int = CONNECTIONS,
    max_retries: int = 0,
    backoff_factor: float = 0.0,
    **_kwargs: Any,
) -> urllib3.PoolManager:
    """A manager of `pool_connections` pools with `pool_maxsize` connections each.

    Connecting is tried `max_retries` times more, with a pause that grows by `backoff_factor` seconds. What was sent is
    never sent again, because the first one may have been carried out.
    """
    retries = urllib3.Retry(
        total=None,
        connect=int(max_retries),
        read=0,
        status=0,
        other=0,
        redirect=False,
        backoff_factor=backoff_factor,
    )
    return urllib3.PoolManager(
        num_pools=int(pool_connections), maxsize=int(pool_maxsize), block=False, retries=retries
    )
