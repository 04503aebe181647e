from __future__ import annotations

from typing import Any

import pytest

from client import following
from client.grid_client import GridClient
from tests.client.fake_grid import USER, FakeGrid
from tfchain.keys import Identity


@pytest.fixture
def grid() -> FakeGrid:
    return FakeGrid()


@pytest.fixture(scope="session")
def key() -> Identity:
    return Identity.generate("ed25519")


@pytest.fixture
def client(grid: FakeGrid, key: Identity, monkeypatch: pytest.MonkeyPatch) -> GridClient:
    """A client of the fake grid that does not wait long between two looks."""
    monkeypatch.setattr(following, "POLL_FIRST_S", 0.001)
    monkeypatch.setattr(following, "POLL_MAX_S", 0.01)
    chain: Any = grid.chain
    return GridClient(chain, grid, USER, key)
