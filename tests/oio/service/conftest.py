from __future__ import annotations

import os

import pytest


@pytest.fixture(scope="module", autouse=True)
def _quiet_disk() -> None:
    """What earlier tests wrote goes to the disk first: syncs of leases and bases would queue behind it for seconds."""
    os.sync()
