from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from rmb.redis_link import RedisAddress, RedisLink
from tests.rmb.redis_server import redis_server


@pytest.fixture(scope="session")
def redis_socket() -> Iterator[str]:
    with redis_server() as path:
        yield path


@pytest.fixture
async def link(redis_socket: str) -> AsyncIterator[RedisLink]:
    """A link to an empty Redis."""
    link = RedisLink(RedisAddress.parse(redis_socket))
    await link.command("FLUSHALL")
    yield link
    await link.close()
