from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.tfchain.devchain.driver import NODE, Driver, person
from tests.tfchain.devchain.process import ChainProcess


@pytest.fixture
def driver(tmp_path: Path) -> Iterator[Driver]:
    """A fresh chain; no bill but by call."""
    made = Driver(tmp_path)
    yield made
    made.close()


@pytest.fixture
def grid(driver: Driver) -> Driver:
    """A chain with a farm of //Alice (one public address), a node of //Bob and a user //Charlie (twins 1, 2, 3)."""
    for name in ("//Alice", "//Bob", "//Charlie"):
        driver.make_twin(person(name))
    address = {"ip": "185.206.122.33/24", "gw": "185.206.122.1"}
    assert driver.call(person("//Alice"), "TfgridModule.create_farm", name="devfarm", public_ips=[address]).ok
    assert driver.call(person("//Bob"), "TfgridModule.create_node", **NODE).ok
    return driver


@pytest.fixture
def process(tmp_path: Path) -> Iterator[ChainProcess]:
    """`tfchain-dev`, started."""
    made = ChainProcess(tmp_path)
    made.start()
    yield made
    made.stop()
