from __future__ import annotations

from collections.abc import Iterator

import pytest

from rmb.redis_link import RedisLink
from tests.rmb.peer.world import Twin
from tests.rmb.relay.grid import RelayProcess, chain_with_twins, relay
from tests.tfchain.devchain.process import ChainProcess


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


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChainProcess]:
    with chain_with_twins(tmp_path_factory.mktemp("chain")) as process:
        yield process


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory, chain: ChainProcess) -> Iterator[RelayProcess]:
    with relay(tmp_path_factory.mktemp("relay"), chain) as process:
        yield process
