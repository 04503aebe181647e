from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.tfchain.client.proxy import Proxy
from tests.tfchain.devchain.process import ChainProcess
from tfchain import Chain
from tfchain.keys import Identity

ALICE, BOB, CHARLIE = (Identity(f"//{name}", "sr25519") for name in ("Alice", "Bob", "Charlie"))
"""Accounts that a development chain funds."""


@pytest.fixture
def process(tmp_path: Path) -> Iterator[ChainProcess]:
    """A development chain of one's own, to be killed at will."""
    made = ChainProcess(tmp_path)
    made.start()
    yield made
    made.stop()


@pytest.fixture(scope="module")
def shared_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChainProcess]:
    """One development chain for all tests of a module that only add to it."""
    made = ChainProcess(tmp_path_factory.mktemp("chain"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
async def chain(process: ChainProcess) -> AsyncIterator[Chain]:
    async with Chain([process.url]) as made:
        yield made


@pytest.fixture
async def shared_chain(shared_process: ChainProcess) -> AsyncIterator[Chain]:
    async with Chain([shared_process.url]) as made:
        yield made


@pytest.fixture
async def proxies(process: ChainProcess) -> AsyncIterator[tuple[Proxy, Proxy]]:
    """Two more endpoints of the chain, which can be made to misbehave."""
    pair = Proxy(process.url), Proxy(process.url)
    for proxy in pair:
        await proxy.start()
    yield pair
    for proxy in pair:
        await proxy.stop()
