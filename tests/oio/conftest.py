from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.oio.lease_stores import stop_shared_server


@pytest.fixture(scope="session", autouse=True)
def _shared_zookeeper() -> Iterator[None]:
    yield
    stop_shared_server()
