"""A lab for the tests of a module, and the data of networks."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.host.network.lab import Lab, open_lab


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """An empty LAN, for as long as the tests of one module run."""
    with open_lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab
        for node in lab.nodes.values():
            node.agent.close()
