from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dynamo.single_server import SingleServer


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SingleServer]:
    folder: Path = tmp_path_factory.mktemp("server")
    single = SingleServer(folder)
    single.start()
    try:
        yield single
    finally:
        single.stop()
