from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.dynamo.mariadb import MariaDB, is_installed


@pytest.fixture(scope="session")
def mariadb() -> Iterator[MariaDB]:
    if not is_installed() and not os.environ.get("CI"):
        pytest.skip("mariadb-server is not installed; `make setup` does that")
    server = MariaDB()
    try:
        server.start()
        yield server
    finally:
        server.stop()
