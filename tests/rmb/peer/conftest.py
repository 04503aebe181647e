from __future__ import annotations

import pytest

from rmb.redis_link import RedisLink
from tests.rmb.peer.world import Twin


@pytest.fixture
def alice(link: RedisLink, redis_socket: str) -> Twin:
    """`link` is asked for so that Redis is empty."""
    return Twin.make(14, 1, redis_socket)


@pytest.fixture
def bob(link: RedisLink, redis_socket: str) -> Twin:
    return Twin.make(55, 2, redis_socket)


@pytest.fixture
def mallory(link: RedisLink, redis_socket: str) -> Twin:
    """Nobody knows this twin."""
    return Twin.make(66, 3, redis_socket)
