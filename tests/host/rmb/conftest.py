from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rmb.redis_server import redis_server


@pytest.fixture
def redis() -> Iterator[str]:
    with redis_server() as path:
        yield path
