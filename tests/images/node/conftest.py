"""One chain, relay and farm for all boots of a file, and the image, built when it is missing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from devgrid.bootstrap import cache_folder
from images.node.build import build
from tests.images.node import release
from tests.images.node.lab import Lab


@pytest.fixture(scope="session")
def image() -> Path:
    """Folder of the image of this tree."""
    if os.geteuid() != 0:
        pytest.skip("the image is made by root")
    return build(cache_folder()).folder


@pytest.fixture(scope="module")
def lab(image: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """Everything around the nodes; all machines are off afterwards."""
    lab = Lab(tmp_path_factory.mktemp("lab"), image)
    try:
        lab.start()
        yield lab
    finally:
        lab.close()


@pytest.fixture
def server() -> Iterator[release.ReleaseServer]:
    """Where the node looks for releases."""
    found = release.ReleaseServer()
    yield found
    found.close()
